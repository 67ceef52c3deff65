// Builds ../bundle from src: one script, one style sheet, and the licences of what is in them.
import { build } from "esbuild";
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ? path.resolve(process.argv[2]) : path.join(here, "..", "bundle");

async function licences(inputs) {
  const packages = new Set();
  for (const input of Object.keys(inputs)) {
    const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) packages.add(found[1]);
  }
  const parts = [];
  for (const name of [...packages].sort()) {
    const folder = path.join(here, "node_modules", name);
    const about = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = ["LICENSE.md", "LICENSE", "LICENSE.txt", "license", "license.md"].find((one) =>
      existsSync(path.join(folder, one)),
    );
    const text = file ? (await readFile(path.join(folder, file), "utf8")).trim() : "";
    parts.push(`${name} ${about.version} (${about.license})\n\n${text}`.trim());
  }
  return parts.join(`\n\n${"-".repeat(72)}\n\n`) + "\n";
}

await mkdir(out, { recursive: true });
const result = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  legalComments: "none",
  charset: "utf8",
  metafile: true,
  logLevel: "warning",
});
await writeFile(path.join(out, "LICENSES.txt"), await licences(result.metafile.inputs));
