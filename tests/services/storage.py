"""Where files are read from and results written to: nginx for byte ranges, an S3 endpoint."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

NGINX_REMEDY = "apt-get install nginx-light"
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 256; }}
http {{
  log_format ranges '$request_method $status $body_bytes_sent $http_range $request_uri';
  access_log {folder}/access.log ranges;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ image/tiff tif tiff; application/geo+json geojson; application/json json; }}
  default_type application/octet-stream;
  server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
"""


@dataclass(frozen=True)
class FileServer:
    """nginx, serving a folder."""

    url: str
    access_log: Path

    def requests(self) -> list[tuple[str, int, int, str, str]]:
        """What was asked so far: method, status, bytes sent, range asked for ('-': none), path."""
        lines = self.access_log.read_text(encoding="utf-8").splitlines()
        parts = [line.split(" ", 4) for line in lines]
        return [(one[0], int(one[1]), int(one[2]), one[3], one[4]) for one in parts]


@contextmanager
def start_nginx(processes: ModuleType, files: Path, folder: Path) -> Iterator[FileServer]:
    """nginx over `files` until the block ends; its own files lie in `folder`."""
    nginx = processes.find_program("nginx", NGINX_REMEDY)
    port = processes.free_port()
    # its worker must read the tests' folders, which belong to whoever runs them
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(folder=folder, files=files, port=port, user=user), encoding="utf-8"
    )
    with processes.running(
        [nginx, "-e", str(folder / "error.log"), "-c", str(configuration)],
        lambda: processes.listens(port),
        folder / "nginx.log",
    ):
        yield FileServer(f"http://127.0.0.1:{port}/", folder / "access.log")


@dataclass(frozen=True)
class ObjectStore:
    """An S3 endpoint with one bucket."""

    endpoint: str
    bucket: str
    environment: Mapping[str, str]
    """What obstore, s3fs and boto3 read endpoint and keys from."""

    def client(self) -> Any:
        """A boto3 client of the endpoint."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def names(self, prefix: str = "") -> list[str]:
        """Names of the stored objects."""
        pages = self.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return [one["Key"] for page in found for one in page.get("Contents", ())]


@contextmanager
def start_s3(processes: ModuleType, folder: Path) -> Iterator[ObjectStore]:
    """moto's server in a process of its own, with an empty bucket, until the block ends."""
    port = processes.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "s3cret-0f-th3-t3sts",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    }
    with processes.running(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        lambda: processes.listens(port),
        folder / "s3.log",
    ):
        store = ObjectStore(endpoint, "maps", environment)
        store.client().create_bucket(Bucket=store.bucket)
        yield store
