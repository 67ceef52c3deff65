"""Small benchmarks that guard against regressions: run by asv, see `benchmarks/README.md`."""
