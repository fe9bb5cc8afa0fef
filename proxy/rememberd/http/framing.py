"""Repeated Content-Length headers, which RFC 9112 allows and the parser refuses."""


def single_content_length(message: bytes) -> bytes | None:
    """`message` with one Content-Length in place of several equal ones (RFC 9112, 6.3). `message` must begin with a
    head. None if the head is incomplete, does not repeat its length or names two different ones."""
    head, end, rest = message.partition(b"\r\n\r\n")
    values: list[bytes] = []
    lines: list[bytes] = []
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            values += (each.strip(b" \t") for each in value.split(b","))
        else:
            lines.append(line)
    if not end or len(values) < 2 or len(set(values)) > 1 or not values[0].isdigit():
        return None
    return b"\r\n".join([*lines, b"content-length: " + values[0]]) + end + rest
