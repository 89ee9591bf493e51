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
"""
import importlib.util
import inspect
import io
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
# Bodies of these types reach the script as text, all others as bytes (sagemaker_inference/content_types.py).
TEXT_TYPES = (JSON, CSV)
# The most a request may hold, as InvokeEndpoint's own limit; the region has checked it before.
BODY_LIMIT = 6 * 1024 * 1024
# Exit code of a server whose worker hung.
HUNG = 75


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
            with self.server.worker:
                status, headers, answer = self.server.transformer.answer(body, self.headers)
        except Exception as error:
            trace = traceback.format_exc()
            sys.stderr.write(trace)
            status = getattr(error, "status", None) or getattr(error, "status_code", None)
            status = status if isinstance(status, int) and 400 <= status < 600 else 500
            headers, answer = {"Content-Type": "text/plain"}, f"{error}\n{trace}".encode()
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


class Worker:
    """The model is used by one request at a time, as by one worker of a container. One that takes too long is not waited for:
    the process ends, and the region starts it again."""

    def __init__(self, patience):
        self.turn, self.began, self.patience = threading.Lock(), None, patience
        threading.Thread(target=self.watch, daemon=True).start()

    def __enter__(self):
        self.turn.acquire()
        self.began = time.monotonic()

    def __exit__(self, *failure):
        self.began = None
        self.turn.release()

    def watch(self):
        while True:
            time.sleep(min(self.patience / 10, 0.5))
            began = self.began
            if began is not None and time.monotonic() - began > self.patience:
                sys.stderr.write(f"Worker did not respond within {self.patience:g} s (SAGEMAKER_MODEL_SERVER_TIMEOUT); the model server is started again.\n")
                sys.stderr.flush()
                os._exit(HUNG)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("region", 0)


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
    transformer = Transformer(load(program), model_dir)
    # A socket's address may be 107 bytes long only: bound from its own folder it needs five of them.
    here = os.getcwd()
    os.chdir(root)
    if os.path.exists("sock"):
        os.remove("sock")
    server = Server("sock", Handler)
    os.chmod("sock", 0o600)
    os.chdir(here)
    server.transformer, server.worker = transformer, Worker(patience)

    def stop(number, frame):
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"The model is loaded from {os.path.basename(program)}; the model server is ready.", flush=True)
    server.serve_forever(poll_interval=0.1)
    # New requests find no socket any more; those under way are answered.
    os.remove(os.path.join(root, "sock"))
    server.server_close()


if __name__ == "__main__":
    main(*sys.argv[1:])
