"""Stands between clients and a Unix socket, and notes the operation of each request: counter.py SOCKET REAL TALLY."""
import re
import socket
import sys
import threading


def relay(client, real, tally):
    server = socket.socket(socket.AF_UNIX)
    server.connect(real)
    head = b""
    while b"\r\n\r\n" not in head and (piece := client.recv(1 << 16)):
        head += piece
    target = re.search(rb"x-amz-target: *(\S+)", head, re.I)
    name = target[1].decode().rpartition(".")[2] if target else head.split(b" ", 1)[0].decode() + "-other"
    tally.write(name + "\n")
    tally.flush()
    server.sendall(head)
    back = threading.Thread(target=pump, args=(server, client), daemon=True)
    back.start()
    pump(client, server)
    back.join()
    client.close()
    server.close()


def pump(source, sink):
    try:
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main():
    path, real, tally = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    with open(tally, "a") as file:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=relay, args=(client, real, file), daemon=True).start()


main()
