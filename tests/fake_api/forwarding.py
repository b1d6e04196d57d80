"""The server's end of a port forward: WebSocket frames on one side, TCP on the other."""

import socket
import struct
import threading
from contextlib import suppress
from typing import BinaryIO

DATA, ERROR = b"\x00", b"\x01"
_CLOSE = 8


def forward(reader: BinaryIO, writer: BinaryIO, port: int, target: tuple[str, int] | None) -> None:
    """Carry bytes until either side hangs up; without a target say so on the error channel."""
    named = struct.pack("<H", port)
    for channel in (DATA, ERROR):
        _send(writer, channel + named)
    if target is None:
        _send(writer, ERROR + b"connection refused by the pod")
        return
    with socket.create_connection(target, timeout=5) as pod:
        threading.Thread(target=_from_pod, args=(pod, writer), daemon=True).start()
        with suppress(OSError):  # either side may go without a word
            while (data := _receive(reader)) is not None:
                pod.sendall(data[1:])
            pod.shutdown(socket.SHUT_RDWR)


def typed(reader: BinaryIO) -> str:
    """The input of a command, until its client closes it (channel 255) or hangs up."""
    text = b""
    while (data := _receive(reader)) is not None and data[:1] != b"\xff":
        text += data[1:]
    return text.decode()


def _from_pod(pod: socket.socket, writer: BinaryIO) -> None:
    try:
        while data := pod.recv(65536):
            _send(writer, DATA + data)
        writer.write(b"\x88\x02\x03\xe8")
        writer.flush()
    except (OSError, ValueError):
        return  # the client has gone


def _send(writer: BinaryIO, data: bytes) -> None:
    writer.write(b"\x82" + struct.pack(">BH", 126, len(data)) + data)
    writer.flush()


def _receive(reader: BinaryIO) -> bytes | None:
    """Payload of the client's next frame; None at the end."""
    head = reader.read(2)
    if len(head) < 2 or head[0] & 15 == _CLOSE:
        return None
    length = head[1] & 127
    if length > 125:
        length = int.from_bytes(reader.read(2 if length == 126 else 8))
    mask = reader.read(4)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(reader.read(length)))
