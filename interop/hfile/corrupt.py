"""Splits HFiles into blocks, trailer and checksums (CRC32 only), and joins them again."""

import struct
import zlib

HEADER = 33
TRAILER = 4096


def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def read_varint(b, at):
    shift = n = 0
    while True:
        n |= (b[at] & 127) << shift
        at += 1
        if b[at - 1] < 128:
            return n, at
        shift += 7


class Block:
    def __init__(self, raw):
        self.magic = bytes(raw[:8])
        self.on_disk, self.plain, self.prev = struct.unpack_from(">iiq", raw, 8)
        self.checksum_type = raw[24]
        self.step, self.data_size = struct.unpack_from(">ii", raw, 25)
        self.payload = bytearray(raw[HEADER:self.data_size])

    def fit(self):
        """Sets all sizes for the payload (for blocks without compression)."""
        self.plain = len(self.payload)
        return self.refit()

    def refit(self):
        """Sets the sizes for the payload, except for the uncompressed one."""
        self.data_size = HEADER + len(self.payload)
        self.on_disk = len(self.payload) + 4 * -(-self.data_size // self.step)
        return self

    def encode(self):
        """Returns header, payload and correct checksums."""
        body = (self.magic + struct.pack(">iiq", self.on_disk, self.plain, self.prev)
                + bytes([self.checksum_type]) + struct.pack(">ii", self.step, self.data_size)
                + bytes(self.payload))
        step = self.step if self.step > 0 else 16384
        sums = b"".join(struct.pack(">I", zlib.crc32(body[i:i + step]))
                        for i in range(0, len(body), step))
        return body + sums


class Image:
    """A v3 file as a list of (offset, block) and trailer fields."""

    def __init__(self, data):
        self.blocks, at = [], 0
        end = len(data) - TRAILER
        while at < end:
            size = HEADER + struct.unpack_from(">i", data, at + 8)[0]
            self.blocks.append(Block(data[at:at + size]))
            at += size
        n, at = read_varint(data, end + 8)
        self.fields, stop = [], at + n
        while at < stop:
            tag, at = read_varint(data, at)
            if tag & 7 == 0:
                value, at = read_varint(data, at)
            else:
                size, at = read_varint(data, at)
                value, at = bytes(data[at:at + size]), at + size
            self.fields.append([tag >> 3, value])
        self.magic, self.version = b'TRABLK"$', bytes(data[-4:])
        self.trailer_body = None

    def of(self, magic, n=0):
        """Returns the n-th block of a kind; -1 is the last."""
        return [b for b in self.blocks if b.magic == magic][n]

    def offset(self, block):
        at = 0
        for b in self.blocks:
            if b is block:
                return at
            at += len(b.encode())
        raise ValueError("no such block")

    def field(self, number, value=None):
        for f in self.fields:
            if f[0] == number:
                if value is not None:
                    f[1] = value
                return f[1]
        raise KeyError(number)

    def trailer(self):
        body = self.trailer_body
        if body is None:
            body = b""
            for number, value in self.fields:
                if isinstance(value, bytes):
                    body += varint(number << 3 | 2) + varint(len(value)) + value
                else:
                    body += varint(number << 3) + varint(value)
            body = varint(len(body)) + body
        return (self.magic + body).ljust(TRAILER - 4, b"\0") + self.version

    def encode(self):
        return b"".join(b.encode() for b in self.blocks) + self.trailer()


def cells(payload, mvcc=True):
    """Returns (start, end) of each cell of an unencoded block without tags."""
    out, at = [], 0
    while at < len(payload):
        klen, vlen = struct.unpack_from(">ii", payload, at)
        end = at + 8 + klen + vlen
        if mvcc:
            first = struct.unpack_from("b", payload, end)[0]
            end += 1 if first >= -112 else 1 + (-112 - first if first >= -120 else -120 - first)
        out.append((at, end))
        at = end
    return out


def root_entries(payload, count):
    """Returns (start, end) of each entry in root format, keys below 128 bytes or two-byte vints."""
    out, at = [], 0
    for _ in range(count):
        first = struct.unpack_from("b", payload, at + 12)[0]
        size = 1 if first >= -112 else 1 + (-112 - first)
        n = first if size == 1 else int.from_bytes(payload[at + 13:at + 12 + size], "big")
        out.append((at, at + 12 + size + n))
        at += 12 + size + n
    return out
