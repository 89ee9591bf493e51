"""The model server of the local region: what sagemaker-inference-toolkit and the model server are in a container.

Started by the region for each instance of an endpoint: `model_server.py ROOT MODEL_DIR PROGRAM`. It listens on the socket
ROOT/sock, answers GET /ping when the model is loaded, and POST /invocations with the functions of the user's script:

    model_fn(model_dir)                         loads the model
    input_fn(body, content_type)                from the request to data
    predict_fn(data, model)                     from data to a prediction
    output_fn(prediction, accept)               from a prediction to the answer
    transform_fn(model, body, content_type, accept)   instead of the last three

Each may take one more argument, the context. Python 3.8 and the standard library are enough; numpy and torch are used only
where the script's own answers or the default handlers ask for them.

The server itself never runs the script: its workers do, processes of their own that are started when requests come at once,
up to SAGEMAKER_MODEL_SERVER_WORKERS (else one for each processor, four at most: each holds the model).
"""
import importlib.util
import inspect
import io
import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import traceback
from email.message import Message
from http.server import BaseHTTPRequestHandler

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
# Bodies of these types reach the script as text, all others as bytes (sagemaker_inference/content_types.py).
TEXT_TYPES = (JSON, CSV)
# The most a request may hold, as InvokeEndpoint's own limit; the region has checked it before.
BODY_LIMIT = 6 * 1024 * 1024
# Exit code when code/requirements.txt could not be installed.
NOT_INSTALLED = 76
# The most workers when nobody says how many. A container has one for each processor.
MOST_WORKERS = 4
# The most requests that wait for a worker, as in TorchServe (job_queue_size).
QUEUE = 100


class Unsupported(Exception):
    """A content type that the default handlers do not know."""

    status = 415

    def __init__(self, content_type):
        super().__init__(
            f"Content type {content_type} is not supported by this framework. Please implement input_fn to deserialize the "
            "request data or an output_fn to serialize the response."
        )


class Context:
    """What the toolkit hands to functions that take a context: the request's headers and the answer's."""

    def __init__(self, model_dir, headers):
        self.system_properties = {"model_dir": model_dir, "gpu_id": None, "batch_size": 1}
        self.manifest = {}
        self.headers = dict(headers)
        self.answer_headers = {}
        self.answer_status = 200

    def get_all_request_header(self, index=0):
        return dict(self.headers)

    def get_request_header(self, index, name):
        found = [value for key, value in self.headers.items() if key.lower() == name.lower()]
        return found[0] if found else None

    def set_response_header(self, index, name, value):
        self.answer_headers[name] = str(value)

    def set_response_content_type(self, index, value):
        self.answer_headers["Content-Type"] = str(value)

    def set_response_status(self, code=200, phrase="", index=0):
        self.answer_status = int(code)


class Transformer:
    """The script's functions with the defaults in the place of those that it lacks."""

    def __init__(self, module, model_dir):
        self.model_dir = model_dir
        find = lambda name: getattr(module, name, None)
        transform = find("transform_fn")
        others = [name for name in ("input_fn", "predict_fn", "output_fn") if find(name)]
        if transform and others:
            raise ValueError("Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn implementation")
        self.transform = transform
        self.read = find("input_fn") or default_input
        self.predict = find("predict_fn") or default_predict
        self.write = find("output_fn") or default_output
        context = Context(model_dir, {})
        if find("pre_model_fn"):
            call(find("pre_model_fn"), [model_dir], context)
        self.model = call(find("model_fn") or default_model, [model_dir], context)
        if find("model_warmup_fn"):
            call(find("model_warmup_fn"), [model_dir, self.model], context)

    def answer(self, body, headers):
        """Status, headers and body of one invocation; what the script raises goes on to the caller."""
        context = Context(self.model_dir, headers)
        content_type = headers.get("Content-Type") or JSON
        accept = headers.get("Accept")
        if not accept or accept == "*/*":
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        if content_type.split(";")[0].strip().lower() in TEXT_TYPES:
            body = body.decode("utf-8")
        if self.transform:
            result = call(self.transform, [self.model, body, content_type, accept], context)
        else:
            data = call(self.read, [body, content_type], context)
            prediction = call(self.predict, [data, self.model], context)
            result = call(self.write, [prediction, accept], context)
        if isinstance(result, tuple):
            result, accept = result
        context.answer_headers.setdefault("Content-Type", str(accept))
        return context.answer_status, context.answer_headers, to_bytes(result)


def call(function, arguments, context):
    """Calls a function of the script, with the context if it takes one argument more than it must."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*arguments)
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return function(*arguments, context) if len(places) > len(arguments) else function(*arguments)


def to_bytes(result):
    if isinstance(result, (bytes, bytearray, memoryview)):
        return bytes(result)
    return result.encode() if isinstance(result, str) else json.dumps(plain(result)).encode()


def plain(value):
    """Arrays and tensors as lists, so that JSON can say them."""
    for name in ("detach", "cpu"):
        value = getattr(value, name)() if hasattr(value, name) else value
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def default_model(model_dir):
    """The only .pt or .pth file of the folder, by TorchScript (sagemaker-pytorch-inference-toolkit)."""
    found = sorted(name for name in os.listdir(model_dir) if name.endswith((".pt", ".pth")))
    if len(found) != 1:
        raise NotImplementedError(
            f"Please provide a model_fn implementation: there are {len(found)} files .pt or .pth in the model's folder, and one is needed to load it without."
        )
    import torch

    return torch.jit.load(os.path.join(model_dir, found[0]), map_location="cpu")


def default_input(body, content_type):
    kind = content_type.split(";")[0].strip().lower()
    if kind == JSON:
        return as_tensor(json.loads(body))
    if kind == CSV:
        return as_tensor([[float(cell) for cell in line.split(",")] for line in body.splitlines() if line.strip()])
    if kind == NPY:
        import numpy

        return as_tensor(numpy.load(io.BytesIO(body), allow_pickle=False))
    raise Unsupported(content_type)


def as_tensor(data):
    """A tensor where the script has torch loaded, else an array where it has numpy loaded, else as it is."""
    if "torch" in sys.modules:
        return sys.modules["torch"].as_tensor(data, dtype=sys.modules["torch"].float32)
    if "numpy" in sys.modules and isinstance(data, list):
        return sys.modules["numpy"].array(data)
    return data


def default_predict(data, model):
    if not callable(model):
        raise NotImplementedError("Please provide a predict_fn implementation: the model that model_fn gave cannot be called.")
    if "torch" not in sys.modules:
        return model(data)
    torch = sys.modules["torch"]
    with torch.no_grad():
        return model(data)


def default_output(prediction, accept):
    kinds = [kind.split(";")[0].strip().lower() for kind in accept.split(",")]
    for kind in kinds:
        if kind in (JSON, "*/*", "application/*"):
            return json.dumps(plain(prediction)), JSON
        if kind == CSV:
            rows = plain(prediction)
            rows = rows if isinstance(rows, list) else [rows]
            return "".join(",".join(map(str, row if isinstance(row, list) else [row])) + "\n" for row in rows), CSV
        if kind == NPY:
            import numpy

            out = io.BytesIO()
            numpy.save(out, numpy.asarray(plain(prediction)), allow_pickle=False)
            return out.getvalue(), NPY
    raise Unsupported(accept)


class Worker:
    """A process of its own with the model in it, for one request at a time, as a worker of a container: what the script keeps
    in its globals belongs to one request."""

    def __init__(self, model_dir, program):
        ours, theirs = socket.socketpair()
        command = [sys.executable, os.path.abspath(__file__), "--worker", str(theirs.fileno()), model_dir, program]
        self.process, self.line = subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours
        theirs.close()

    def loaded(self):
        """Waits until the model is loaded; False when the process ended instead."""
        try:
            return receive(self.line) is not None
        except OSError:
            return False

    def answer(self, headers, body, patience):
        """Status, headers and body; TimeoutError when it takes too long, EOFError when the process ended."""
        self.line.settimeout(patience)
        try:
            send(self.line, headers, body)
            found = receive(self.line)
        except socket.timeout:
            raise TimeoutError(f"Worker did not respond within {patience:g} s (SAGEMAKER_MODEL_SERVER_TIMEOUT).")
        except OSError:
            found = None
        if found is None:
            raise EOFError("Worker died.")
        return found[0]["status"], found[0]["headers"], found[1]

    def end(self):
        """Ends the process at once; its exit code."""
        self.line.close()
        self.process.kill()
        return self.process.wait()


class Busy(Exception):
    """No worker takes the request."""


class Pool:
    """The workers. The first one is there before the server is; more are started when requests wait, up to the limit. One that
    died is replaced."""

    def __init__(self, limit, patience, model_dir, program):
        self.limit, self.patience, self.arguments = limit, patience, (model_dir, program)
        self.idle, self.count, self.starting, self.waiting, self.broken = [], 0, 0, 0, False
        self.changed = threading.Condition()

    def first(self):
        """Loads the model for the first time; the exit code when that fails, else None."""
        worker = Worker(*self.arguments)
        if not worker.loaded():
            # It has closed its line, so it is ending by itself.
            return worker.process.wait() or 1
        self.idle, self.count = [worker], 1
        return None

    def answer(self, headers, body):
        worker = self.take()
        try:
            found = worker.answer(headers, body, self.patience)
        except (TimeoutError, EOFError) as error:
            code = worker.end()
            sys.stderr.write(f"{error} Its exit code is {code}; another worker is started.\n")
            with self.changed:
                self.count -= 1
                self.hire()
            raise
        with self.changed:
            self.idle.append(worker)
            self.changed.notify()
        return found

    def take(self):
        with self.changed:
            if self.waiting >= QUEUE or self.broken:
                raise Busy("No worker is available to serve the request.")
            self.waiting += 1
            try:
                while True:
                    if len(self.idle) < self.waiting:
                        self.hire()
                    if not self.changed.wait_for(lambda: self.idle or self.broken, self.patience) or not self.idle:
                        raise Busy("No worker is available to serve the request.")
                    worker = self.idle.pop()
                    if worker.process.poll() is None:
                        return worker
                    # It ended while it had nothing to do: no request has to fail for it.
                    sys.stderr.write(f"An idle worker ended with code {worker.end()}; another worker is started.\n")
                    self.count -= 1
            finally:
                self.waiting -= 1

    def hire(self):
        """Starts a worker, if one more may be. The caller holds the lock."""
        if self.count + self.starting < self.limit and not self.starting:
            self.starting = 1
            threading.Thread(target=self.start, daemon=True).start()

    def start(self):
        pause = 0.1
        while True:
            worker = Worker(*self.arguments)
            loaded = worker.loaded()
            with self.changed:
                # A model that does not load any more: as long as no other worker lives, requests are told at once.
                self.broken = not loaded and self.count == 0
                if loaded:
                    self.idle.append(worker)
                    self.count += 1
                if loaded or self.count:
                    self.starting = 0
                    if self.waiting > len(self.idle):
                        self.hire()
                self.changed.notify_all()
                if loaded or self.count:
                    return
            worker.end()
            time.sleep(pause)
            pause = min(pause * 2, 30)

    def close(self):
        for worker in self.idle:
            worker.end()


def send(line, head, body=b""):
    """A frame: the length of the head, of the body, the head as JSON, the body."""
    head = json.dumps(head).encode()
    line.sendall(struct.pack(">II", len(head), len(body)) + head + body)


def receive(line):
    """Head and body of the next frame; None at the end of the line."""
    lengths = take(line, 8)
    if lengths is None:
        return None
    head, body = struct.unpack(">II", lengths)
    content = take(line, head + body)
    return None if content is None else (json.loads(content[:head]), content[head:])


def take(line, length):
    content = bytearray()
    while len(content) < length:
        part = line.recv(min(length - len(content), 1 << 20))
        if not part:
            return None
        content += part
    return bytes(content)


def work(number, model_dir, program):
    """The life of a worker: loads the model, then answers what comes over its line until that ends."""
    line = socket.socket(fileno=int(number))
    # The whole group is told to end. A worker finishes what it has begun: the server closes its line when all is done.
    signal.signal(signal.SIGTERM, lambda *_: None)
    transformer = Transformer(load(program), model_dir)
    send(line, {})
    while True:
        asked = receive(line)
        if asked is None:
            return
        headers = Message()
        for name, value in asked[0]:
            headers[name] = value
        try:
            status, answers, body = transformer.answer(asked[1], headers)
        except Exception as error:
            trace = traceback.format_exc()
            sys.stderr.write(trace)
            status = getattr(error, "status", None) or getattr(error, "status_code", None)
            status = status if isinstance(status, int) and 400 <= status < 600 else 500
            answers, body = {"Content-Type": "text/plain"}, f"{error}\n{trace}".encode()
        send(line, {"status": status, "headers": answers}, body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "footplate-model-server"
    sys_version = ""

    def do_GET(self):
        self.send(200 if self.path == "/ping" else 404, {}, b"")

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/invocations" or length > BODY_LIMIT:
            self.close_connection = True
            return self.send(404 if length <= BODY_LIMIT else 413, {}, b"")
        body = self.rfile.read(length)
        began = time.monotonic()
        try:
            status, headers, answer = self.server.pool.answer(self.headers.items(), body)
        except Busy as error:
            status, headers, answer = 503, {"Content-Type": "text/plain"}, str(error).encode()
        except (TimeoutError, EOFError) as error:
            status, headers, answer = 500, {"Content-Type": "text/plain"}, str(error).encode()
        millis = (time.monotonic() - began) * 1000
        sys.stdout.write(f"POST /invocations {status} {length} bytes in, {len(answer)} out, {millis:.1f} ms\n")
        self.send(status, headers, answer)

    def send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "region"

    def log_message(self, *text):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("region", 0)

    def handle_error(self, request, address):
        """A caller that has gone, as after the time limit, is no error of the server's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, address)


def missing(lines):
    """The requirements that the interpreter does not fulfil, and all that are more than a name and a version."""
    from importlib.metadata import PackageNotFoundError, version

    from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

    left = []
    for line in lines:
        try:
            wanted = Requirement(line.split(" #")[0].strip())
            if wanted.marker and not wanted.marker.evaluate():
                continue
            there = not wanted.url and not wanted.extras and wanted.specifier.contains(version(wanted.name), prereleases=True)
        except (InvalidRequirement, PackageNotFoundError):
            there = False
        if there:
            print(f"Requirement already satisfied: {line}", flush=True)
        else:
            left.append(line)
    return left


def install(root, model_dir):
    """Installs what code/requirements.txt asks for and the interpreter lacks, as the container does, but into the instance's
    own folder: the interpreter is the user's."""
    code = os.path.join(model_dir, "code")
    try:
        with open(os.path.join(code, "requirements.txt")) as file:
            lines = [line.strip() for line in file if line.strip() and not line.strip().startswith("#")]
    except FileNotFoundError:
        return
    try:
        left = missing(lines)
    except ImportError:
        left = lines
    if not any(not line.startswith("-") for line in left):
        return
    wanted, site = os.path.join(root, "requirements.txt"), os.path.join(root, "site")
    with open(wanted, "w") as file:
        file.write("\n".join(left) + "\n")
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries", "1"]
    print(f"Installing {', '.join(left)} from code/requirements.txt", flush=True)
    code = subprocess.run(command + ["--target", site, "-r", wanted], cwd=code, stdin=subprocess.DEVNULL).returncode
    if code != 0:
        print(f"pip ended with code {code}: code/requirements.txt could not be installed.", file=sys.stderr, flush=True)
        sys.exit(NOT_INSTALLED)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH")]))


def load(program):
    """The script as a module, with its folder first on the path, as the toolkit imports it."""
    folder = os.path.dirname(program)
    sys.path.insert(0, folder)
    name = os.path.splitext(os.path.basename(program))[0]
    spec = importlib.util.spec_from_file_location(name, program)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(root, model_dir, program):
    patience = float(os.environ.get("SAGEMAKER_MODEL_SERVER_TIMEOUT") or 60)
    limit = int(os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS") or min(len(os.sched_getaffinity(0)), MOST_WORKERS))
    install(root, model_dir)
    pool = Pool(max(limit, 1), patience, model_dir, program)
    code = pool.first()
    if code is not None:
        sys.exit(code if code > 0 else 128 - code)
    # A socket's address may be 107 bytes long only: bound from its own folder it needs five of them.
    here = os.getcwd()
    os.chdir(root)
    if os.path.exists("sock"):
        os.remove("sock")
    server = Server("sock", Handler)
    os.chmod("sock", 0o600)
    os.chdir(here)
    server.pool = pool

    def stop(number, frame):
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"The model is loaded from {os.path.basename(program)}; the model server is ready for {max(limit, 1)} requests at once.", flush=True)
    server.serve_forever(poll_interval=0.1)
    # New requests find no socket any more; those under way are answered.
    os.remove(os.path.join(root, "sock"))
    server.server_close()
    pool.close()


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        work(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
