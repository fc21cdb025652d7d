"""Tables, snapshots and files by URL, from moto's server in a thread of this process: a request that kept the
interpreter's lock would block the server, and wait forever."""

import contextlib
import gc
import http.server
import os
import pathlib
import signal
import socket
import threading
import time
from email.utils import formatdate

import boto3
import hregion
import pytest
from golden import DATA, cells, golden_cells
from moto.server import ThreadedMotoServer
from written import make_table

HALVES = DATA / "region" / "split-references" / "root"
CLONES = DATA / "region" / "clone-references" / "root"
HFILE = "small-none-row"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "hidden-secret", "AWS_REGION": "us-east-1"}
DEADLINE = 60  # of a request


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=KEYS["AWS_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket="bucket")
    for name, root in (("halves", HALVES), ("clones", CLONES)):
        for file in root.rglob("*"):
            if file.is_file():
                client.put_object(Bucket="bucket", Key=f"{name}/{file.relative_to(root)}", Body=file.read_bytes())
    body = (DATA / "golden" / f"{HFILE}.hfile").read_bytes()
    client.put_object(Bucket="bucket", Key="file.hfile", Body=body)
    yield endpoint
    server.stop()


@pytest.fixture
def endpoint(server, monkeypatch):
    """The server, which is named in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (KEYS | {"AWS_ENDPOINT": server, "AWS_ALLOW_HTTP": "true"}).items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def silent(monkeypatch):
    """A server that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield {
            "aws_endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "aws_allow_http": True,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "hidden-secret",
        }


def test_a_bucket_is_read_as_a_directory_is(endpoint):
    local, remote = hregion.open(HALVES, "halves"), hregion.open("s3://bucket/halves", "halves")
    expected = cells(local.scan())
    assert len(expected) > 100 and cells(remote.scan()) == expected
    assert remote.scan().to_arrow() == local.scan().to_arrow()
    assert remote.scan().to_polars().equals(local.scan().to_polars())
    keys = [row.key for row in local.scan()]
    some = keys[::10]
    assert [row.key for row in remote.get_many(some)] == some
    assert remote.get(keys[0]).to_dict() == local.get(keys[0]).to_dict()
    assert remote.regions() == local.regions() and remote.verify() == []
    remote.close()
    with pytest.raises(hregion.ClosedError):
        remote.get(keys[0])


def test_a_url_is_a_table_a_region_or_a_file(endpoint):
    info = next(HALVES.glob("data/default/halves/*/.regioninfo"))
    region = str(info.parent.relative_to(HALVES))
    for path in (region, str(info.parents[1].relative_to(HALVES))):
        local, remote = hregion.open(HALVES / path), hregion.open(f"s3a://bucket/halves/{path}/")
        assert cells(remote.scan()) == cells(local.scan())
        assert remote.verify() == []
    assert cells(hregion.open("s3://bucket/file.hfile").scan(versions=0, raw=True)) == list(golden_cells(HFILE))
    with pytest.raises(ValueError, match="a root directory needs a table or a snapshot"):
        hregion.open("s3://bucket/halves")


def test_snapshots_of_a_bucket_are_read(endpoint):
    names = hregion.snapshots(CLONES)
    assert names and hregion.snapshots("s3://bucket/clones") == names
    for name in names:
        remote = hregion.open("s3://bucket/clones", snapshot=name)
        assert cells(remote.scan()) == cells(hregion.open(CLONES, snapshot=name).scan())
    assert hregion.snapshots("s3://bucket/halves") == []


class WebDav(http.server.BaseHTTPRequestHandler):
    """The files of a directory, with ranges and listings."""

    def answer(self, status, body, headers=(), sends=True):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"1"', **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if sends:
            self.wfile.write(body)

    def do_GET(self, sends=True):
        file = self.server.root / self.path.strip("/")
        if not file.is_file():
            return self.answer(404, b"", sends=sends)
        body, date = file.read_bytes(), {"Last-Modified": formatdate(file.stat().st_mtime, usegmt=True)}
        asked = self.headers.get("Range")
        if not asked:
            return self.answer(200, body, date, sends)
        first, last = asked.removeprefix("bytes=").split("-")
        start = int(first) if first else max(len(body) - int(last), 0)
        end = min(int(last) + 1, len(body)) if first and last else len(body)
        self.answer(206, body[start:end], date | {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"})

    def do_HEAD(self):
        self.do_GET(sends=False)

    def do_PROPFIND(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        directory = self.server.root / self.path.strip("/")
        if not directory.is_dir():
            return self.answer(404, b"")
        entries = [directory, *directory.iterdir()]
        responses = "".join(map(self.response, entries))
        body = f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>'
        self.answer(207, body.encode(), {"Content-Type": "application/xml"})

    def response(self, file):
        kind = "<D:collection/>" if file.is_dir() else ""
        path, meta = file.relative_to(self.server.root).as_posix().removeprefix("."), file.stat()
        return (
            f"<D:response><D:href>/{path}</D:href><D:propstat><D:prop>"
            f"<D:getlastmodified>{formatdate(meta.st_mtime, usegmt=True)}</D:getlastmodified>"
            f"<D:getcontentlength>{0 if kind else meta.st_size}</D:getcontentlength>"
            f"<D:resourcetype>{kind}</D:resourcetype>"
            "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )

    def log_message(self, *_):
        pass


class NoListings(WebDav):
    """Like most web servers."""

    def do_PROPFIND(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(405, b"")


@contextlib.contextmanager
def serving(handler, root=HALVES):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.root = root
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_web_server_is_only_read():
    with serving(WebDav) as url:
        local = hregion.open(HALVES, "halves")
        assert cells(hregion.open(url, "halves").scan()) == cells(local.scan())
        with pytest.raises(hregion.UnsupportedError, match="web servers"):
            hregion.create(f"{url}/new", "t", "cf")


@pytest.mark.parametrize("handler", [WebDav, NoListings])
def test_a_file_of_a_web_server_is_read_by_its_name(handler):
    # neither a reference nor a link
    file = next(path for path in HALVES.glob("data/default/halves/*/p/*") if path.name.isalnum())
    with serving(handler) as url:
        read = hregion.open(f"{url}/{file.relative_to(HALVES)}")
        assert cells(read.scan()) == cells(hregion.open(file).scan())


def test_a_table_is_created_and_written_in_a_bucket(endpoint):
    root = "s3://bucket/new"
    make_table(root)
    assert hregion.recover(root).logs == []


def test_options_go_before_the_environment(server, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with pytest.raises(hregion.Error, match="no credentials for S3"):
        hregion.open("s3://bucket/halves", "halves", storage_options={"retries": 1})
    options = {name.lower(): value for name, value in KEYS.items()}
    options |= {"aws_endpoint": server, "aws_allow_http": True, "deadline": 20, "retries": 1}
    read = hregion.open("s3://bucket/halves", "halves", storage_options=options)
    assert cells(read.scan()) == cells(hregion.open(HALVES, "halves").scan())
    assert hregion.snapshots("s3://bucket/clones", storage_options=options) == hregion.snapshots(CLONES)
    # an earlier failure does not last
    monkeypatch.setenv("AWS_ENDPOINT", server)
    for name, value in (KEYS | {"AWS_ALLOW_HTTP": "true"}).items():
        monkeypatch.setenv(name, value)
    table = hregion.open("s3://bucket/halves", "halves", storage_options={"retries": 1})
    assert table.regions() == read.regions()


def test_what_is_wrong_is_named_without_credentials(endpoint):
    opened = lambda url, **options: hregion.open(url, "t", storage_options=options)
    for error, kind, message, call in (
        (hregion.NotFoundError, "TableNotFound", "no table", lambda: opened("s3://bucket/halves")),
        (hregion.NotFoundError, "Io", "bucket/none", lambda: hregion.open("s3://bucket/none")),
        (hregion.NotFoundError, "Io", "bucket/none", lambda: hregion.snapshots("s3://bucket/none")),
        (hregion.NotFoundError, "Io", "bucket/none", lambda: hregion.recover("s3://bucket/none")),
        (hregion.UnsupportedError, "Unsupported", "ftp", lambda: opened("ftp://u:hidden-secret@h/a")),
        (hregion.UnsupportedError, "Unsupported", "local", lambda: hregion.open(Url("s3://k:hidden-secret@b"))),
        (ValueError, None, "credentials", lambda: opened("s3://k:hidden-secret@b/a")),
        (ValueError, None, "storage_options: .*color", lambda: opened("s3://b/a", color="hidden-secret")),
        (ValueError, None, "deadline: expected", lambda: opened("s3://b/a", deadline="hidden-secret")),
        (ValueError, None, "deadline: expected", lambda: opened("s3://b/a", deadline=0)),
        (ValueError, None, "storage_options need a URL", lambda: opened(HALVES, aws_region="hidden-secret")),
        (TypeError, None, "aws_region", lambda: opened("s3://b/a", aws_region=["hidden-secret"])),
    ):
        with pytest.raises(error, match=message) as raised:
            call()
        assert kind is None or raised.value.kind == kind
        assert "hidden-secret" not in str(raised.value)


class Url:
    """A path object of another library."""

    def __init__(self, url):
        self.url = url

    def __fspath__(self):
        return self.url


def test_path_objects_are_local(endpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(hregion.NotFoundError):
        hregion.open(pathlib.Path("s3://bucket/halves"), "halves").get("a")
    with hregion.create(tmp_path / "root", "t", "cf") as table:
        with pytest.raises(hregion.UnsupportedError, match="local file system"):
            table.bulk_load("s3://bucket/halves")


def test_a_request_without_an_answer_ends(silent):
    began = time.monotonic()
    options = silent | {"deadline": 0.5, "retries": 0}
    with pytest.raises(hregion.Error, match="deadline") as error:
        hregion.open("s3://bucket/halves", "halves", storage_options=options)
    assert error.value.kind == "Timeout" and "hidden-secret" not in str(error.value)
    assert time.monotonic() - began < DEADLINE / 4


class Stop(Exception):
    pass


def test_a_handler_ends_a_request(silent):
    def stop(number, frame):
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    began = time.monotonic()
    try:
        with pytest.raises(Stop):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            hregion.open("s3://bucket/halves", "halves", storage_options=silent)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < DEADLINE / 4


class Waiting(WebDav):
    """Answers after it is released."""

    go = threading.Event()

    def do_GET(self, sends=True):
        self.go.wait(DEADLINE)
        super().do_GET(sends)

    def do_PROPFIND(self):
        self.go.wait(DEADLINE)
        super().do_PROPFIND()


def test_a_handler_does_not_use_the_table_that_waits_for_a_file():
    refused, local = [], hregion.open(HALVES, "halves")
    key = next(iter(local.scan())).key

    def handler(number, frame):
        for use in (table.close, lambda: table.get(key), lambda: list(table.scan())):
            with pytest.raises(ValueError, match="waits for a remote file"):
                use()
            refused.append(use)
        assert local.get(key).key == key
        Waiting.go.set()

    Waiting.go.set()
    with serving(Waiting) as url:
        table = hregion.open(url, "halves")
        before = signal.signal(signal.SIGALRM, handler)
        Waiting.go.clear()
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            # opens a region
            row = table.get(key)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            Waiting.go.set()
        assert len(refused) == 3 and row == local.get(key) == table.get(key)
        table.close()


class Interrupting(WebDav):
    """Interrupts the main thread, which waits for a file, before it answers; once after it is armed."""

    armed, go = threading.Event(), threading.Event()

    def do_GET(self, sends=True):
        if self.armed.is_set():
            self.armed.clear()
            signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
            self.go.wait(DEADLINE)
        super().do_GET(sends)


def test_a_row_that_is_read_although_a_handler_raises_an_exception_is_not_lost(tmp_path):
    keys = [b"%04d" % row for row in range(1000)]
    with hregion.create(tmp_path, "t", "cf", durability="SKIP_WAL") as made:
        for key in keys:
            made.put(key, {"cf:q": bytes(400)})
    found = None

    def handler(number, frame):
        Interrupting.go.set()
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with serving(Interrupting, tmp_path) as url:
            # the whole block is read instead of its part; if that takes long, it is ended as well, and the scan
            # fails
            for _ in range(10):
                Interrupting.go.clear()
                with hregion.open(url, "t") as table, contextlib.suppress(hregion.Error):
                    # later scans from here first read a part of the block, the next part when it is needed
                    assert [row.key for row in table.scan(keys[50], limit=1)] == keys[50:51]
                    rows, read = iter(table.scan(keys[50])), []
                    Interrupting.armed.set()
                    with pytest.raises(Stop):
                        for row in rows:
                            read.append(row.key)
                    found = read + [row.key for row in rows]
                    break
    finally:
        Interrupting.armed.clear()
        Interrupting.go.set()
        signal.signal(signal.SIGALRM, before)
    assert found == keys[50:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_opens_its_own(endpoint):
    table = hregion.open("s3://bucket/halves", "halves")
    written = hregion.create("s3://bucket/forked", "t", "cf")
    written.put("a", {"cf:q": "1"})
    expected = cells(table.scan())
    scan, rows, batches = table.scan(), iter(table.scan()), table.scan().to_batches()
    next(rows)

    child = os.fork()
    if child == 0:
        is_right = False
        try:
            for use in (
                lambda: table.get("a"),
                lambda: list(scan),
                lambda: next(rows),
                lambda: scan.to_arrow(),
                lambda: batches.read_all(),
                lambda: table.verify(),
                lambda: table.close(),
                lambda: written.put("b", {"cf:q": "lost"}),
                lambda: written.flush(),
                lambda: written.close(),
            ):
                with pytest.raises(hregion.UnsupportedError, match="forked"):
                    use()
            assert table.regions() and table.name == "halves"
            again = hregion.open("s3://bucket/halves", "halves")
            is_right = cells(again.scan()) == expected
            again.close()
            del again, table, written, scan, rows, batches, use
            gc.collect()
        finally:
            os._exit(0 if is_right else 1)
    limit = time.monotonic() + DEADLINE
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < limit:
        time.sleep(0.05)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended and os.waitstatus_to_exitcode(status) == 0
    assert len(list(rows)) == len({row for row, *_ in expected}) - 1
    written.put("c", {"cf:q": "kept"})
    written.close()
    assert [row.key for row in hregion.open("s3://bucket/forked", "t").scan()] == [b"a", b"c"]
