"""A second reader of the sections `manifest`, `graph`, `golden` and `labels`, and of weights.

Written from runtime/bundle/SPEC.md alone, with nothing but the standard library. It shares no code with the project:
where the two disagree, the specification has a hole. Reads a folder that `packager unpack` made and prints JSON.
"""

import hashlib
import json
import math
import struct
import sys
from pathlib import Path

DTYPES = {
    "F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1, "I16": 2, "I32": 4, "I64": 8,
    "U8": 1, "U16": 2, "U32": 4, "U64": 8, "Bool": 1,
}  # in the order of section 6.1, with their sizes in bytes
OPSET = 25
LIMITS = {"bytes": 67108864, "values": 1048576, "nodes": 1048576, "depth": 8, "rank": 32, "weight_bytes": 4294967296}


class Refused(Exception):
    """The error code that the specification names, and why."""


def refuse(code, why):
    raise Refused(code, why)


class Decoder:
    """Section 1.2."""

    def __init__(self, content, versions):
        self.content, self.at = content, 0
        found = struct.unpack("<H", self.take(2))[0]
        if found not in versions:
            refuse("E_UNSUPPORTED_VERSION", f"version {found}")
        self.version = found

    def end(self):
        if self.at != len(self.content):
            refuse("E_CORRUPT", "something follows the structure")

    def take(self, count):
        taken = self.content[self.at:self.at + count]
        if len(taken) < count:
            refuse("E_CORRUPT", "it ends too early")
        self.at += count
        return taken

    def varint(self, bits):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= bits:
                refuse("E_CORRUPT", "a number is too long")
        if value >> bits or (shift and byte == 0):
            refuse("E_CORRUPT", "a number is too large, or longer than needed")
        return value

    def signed(self, bits):
        zigzag = self.varint(bits)
        return zigzag >> 1 if zigzag % 2 == 0 else -(zigzag >> 1) - 1

    def u8(self): return self.take(1)[0]
    def u32(self): return self.varint(32)
    def u64(self): return self.varint(64)
    def i32(self): return self.signed(32)
    def i64(self): return self.signed(64)
    def f32(self): return struct.unpack("<f", self.take(4))[0]
    def digest(self): return list(self.take(32))
    def bytes(self): return list(self.take(self.u64()))

    def bool(self):
        return bool(self.flag())

    def flag(self):
        byte = self.u8()
        if byte > 1:
            refuse("E_CORRUPT", "a flag is neither 0 nor 1")
        return byte

    def string(self):
        try:
            return self.take(self.u64()).decode("utf-8")
        except UnicodeDecodeError:
            refuse("E_CORRUPT", "a string is not UTF-8")

    def list(self, element):
        return [element() for _ in range(self.u64())]

    def optional(self, element):
        return element() if self.flag() else None

    def pair(self, first, second):
        return [first(), second()]

    def struct(self, **fields):
        return {name: field() for name, field in fields.items()}

    def variant(self, *variants):
        number = self.u32()
        if number >= len(variants):
            refuse("E_CORRUPT", f"variant {number}")
        name, fields = variants[number]
        return name if fields is None else {name: fields()}

    # Section 6.1, and what 6.2 shares with it.

    def dtype(self):
        return self.variant(*((name, None) for name in DTYPES))

    def dim(self):
        return self.variant(("Fixed", self.u64), ("Symbol", self.string))


class Manifest(Decoder):
    """Section 6.1."""

    def manifest(self):
        return self.struct(
            name=self.string, version=self.string, description=self.string, licence=self.string,
            created_by=self.string, bundle_id=self.digest, opset=self.u32,
            inputs=lambda: self.list(self.port), outputs=lambda: self.list(self.port),
            envelope=lambda: self.struct(peak_memory_bytes=self.u64, weight_bytes=self.u64, deadline_ms=self.u32),
            reproducibility=lambda: self.variant(("BitExact", None), ("Tolerance", None)),
            target_hints=lambda: self.list(self.string),
            quantization=lambda: self.list(
                lambda: self.struct(weight=self.string, scheme=self.string, sqnr_db=self.f32)),
            source=lambda: self.struct(
                format=self.string, sha256=self.digest, opset=self.u32,
                options=lambda: self.list(lambda: self.pair(self.string, self.string))))

    def port(self):
        return self.struct(
            name=self.string, dtype=self.dtype, shape=lambda: self.list(self.dim), description=self.string,
            content=self.port_content)

    def port_content(self):
        fields = lambda **names: lambda: self.struct(**names)
        return self.variant(
            ("Tensor", None),
            ("Bytes", fields(head=self.u32, tail=self.u32, block=self.u32, padding=self.i32)),
            ("Image", self.image),
            ("Pcm", fields(sample_rate_hz=self.u32, frame=self.u32, context=self.u32)),
            ("State", fields(output=self.string)),
            ("NextState", None),
            ("Classes", fields(labels=self.u32)),
            ("Probability", fields(of=self.string)),
            ("Ctc", fields(labels=self.u32, blank=self.u32)),
            ("Heatmap", None))

    def image(self):
        fields = lambda **names: lambda: self.struct(**names)
        three = lambda: [self.f32(), self.f32(), self.f32()]
        return self.struct(
            axes=lambda: self.variant(("Nchw", None), ("Nhwc", None)),
            colour=lambda: self.variant(("Rgb", None), ("Bgr", None), ("Grey", None)),
            resize=lambda: self.variant(
                ("Stretch", fields(height=self.u32, width=self.u32)),
                ("FitHeight", fields(height=self.u32, width=self.u32, grow=self.bool)),
                ("Multiple", fields(of=self.u32, limit=self.u32))),
            mean=three, std=three)


class Graph(Decoder):
    """Section 6.2."""

    def graph(self):
        return self.struct(
            domains=lambda: self.list(lambda: self.pair(self.string, self.u32)),
            values=lambda: self.list(self.string), body=self.body)

    def body(self):
        return self.struct(
            inputs=lambda: self.list(self.input), outputs=lambda: self.list(self.u32),
            nodes=lambda: self.list(self.node), weights=lambda: self.list(self.weight))

    def input(self):
        return self.struct(
            value=self.u32, dtype=lambda: self.optional(self.dtype),
            shape=lambda: self.optional(lambda: self.list(self.dim)))

    def node(self):
        values = lambda: self.list(lambda: self.optional(self.u32))
        return self.struct(
            name=self.string, domain=self.string, op=self.string, inputs=values, outputs=values,
            attributes=lambda: self.list(lambda: self.pair(self.string, self.attribute)))

    def attribute(self):
        return self.variant(
            ("Int", self.i64), ("Float", self.f32), ("String", self.bytes), ("Tensor", self.literal),
            ("Body", self.body), ("Ints", lambda: self.list(self.i64)), ("Floats", lambda: self.list(self.f32)),
            ("Strings", lambda: self.list(self.bytes)))

    def literal(self):
        return self.struct(dtype=self.dtype, shape=lambda: self.list(self.u64), bytes=self.bytes)

    def weight(self):
        return self.struct(
            value=self.u32, dtype=self.dtype, shape=lambda: self.list(self.u64), encoding=self.encoding,
            data=self.span)

    def span(self):
        return self.struct(section=self.u32, offset=self.u64, size_bytes=self.u64)

    def encoding(self):
        scales = dict(scale=self.span, zero_point=lambda: self.optional(self.span))
        return self.variant(
            ("Raw", None), ("F16", None),
            ("Int8", lambda: self.struct(axis=lambda: self.optional(self.u32), **scales)),
            ("Int4", lambda: self.struct(block=self.u32, **scales)))


class Golden(Decoder):
    """Section 6.5."""

    def golden(self):
        norm = self.f32 if self.version > 1 else lambda: 0.0
        return self.struct(
            tolerance=lambda: self.struct(absolute=self.f32, relative=self.f32, norm=norm),
            cases=lambda: self.list(self.case))

    def case(self):
        return self.struct(
            name=self.string, inputs=lambda: self.list(self.tensor), outputs=lambda: self.list(self.reference))

    def tensor(self):
        return self.struct(dtype=self.dtype, shape=lambda: self.list(self.u64), bytes=self.bytes)

    def reference(self):
        return self.struct(
            dtype=self.dtype, shape=lambda: self.list(self.u64), stride=self.u32, bytes=self.bytes)


class Labels(Decoder):
    """Section 6.6."""

    def labels(self):
        return self.list(lambda: self.list(self.string))


class Rules:
    """Section 6.3."""

    def __init__(self, graph, sections):
        self.graph, self.sections = graph, sections
        self.defined, self.nodes, self.weight_bytes = set(), 0, 0

    def check(self):
        domains = [name for name, _ in self.graph["domains"]]
        self.must(ascending(domains) and "" not in domains and "ai.onnx" not in domains, "domains")
        self.must(all(version > 0 for _, version in self.graph["domains"]), "versions of domains")
        values = self.graph["values"]
        self.within("values", len(values))
        self.must("" not in values and len(set(values)) == len(values), "names of values")
        self.body(self.graph["body"], set(), 0)
        self.must(len(self.defined) == len(values), "a value is never defined")

    def body(self, body, visible, depth):
        self.within("depth", depth)
        self.nodes += len(body["nodes"])
        self.within("nodes", self.nodes)
        visible, own = set(visible), set()
        for entry in body["inputs"]:
            shape = entry["shape"]
            self.must(depth > 0 or (entry["dtype"] is not None and shape is not None), "an input without type")
            self.must({"Symbol": ""} not in (shape or []), "a symbol without name")
            self.size(entry["dtype"] or "F64", [dim.get("Fixed", 1) for dim in shape or []])
            self.define(entry["value"], visible, own)
        self.must(ascending([weight["value"] for weight in body["weights"]]), "order of weights")
        for weight in body["weights"]:
            self.define(weight["value"], visible, own)
            self.weight(weight)
        for node in body["nodes"]:
            self.node(node, visible, depth)
            for output in node["outputs"]:
                if output is not None:
                    self.define(output, visible, own)
        self.must(all(output in own for output in body["outputs"]), "an output from outside")
        self.must(depth > 0 or len(set(body["outputs"])) == len(body["outputs"]), "an output twice")

    def node(self, node, visible, depth):
        self.must(node["op"] != "", "a node without operator")
        self.must(node["domain"] in ["", *(name for name, _ in self.graph["domains"])], "a domain")
        names = [name for name, _ in node["attributes"]]
        self.must(ascending(names) and "" not in names, "order of attributes")
        self.must(all(value is None or value in visible for value in node["inputs"]), f"inputs of {node['name']}")
        for _, attribute in node["attributes"]:
            if "Body" in attribute:
                self.body(attribute["Body"], visible, depth + 1)
            elif "Tensor" in attribute:
                literal = attribute["Tensor"]
                size = self.size(literal["dtype"], literal["shape"])
                self.must(len(literal["bytes"]) == size, "size of a literal")
                self.must(literal["dtype"] != "Bool" or max(literal["bytes"], default=0) < 2, "a boolean")

    def weight(self, weight):
        """Section 6.4."""
        size = self.size(weight["dtype"], weight["shape"])
        self.weight_bytes += size
        self.within("weight_bytes", self.weight_bytes)
        count, encoding = size // DTYPES[weight["dtype"]], weight["encoding"]
        spans, scales = [weight["data"]], None
        if encoding == "Raw":
            stored = size
        elif encoding == "F16":
            stored = 2 * count
        elif "Int8" in encoding:
            axis = encoding["Int8"]["axis"]
            self.must(axis is None or axis < len(weight["shape"]), "an axis")
            stored, scales = count, 1 if axis is None else weight["shape"][axis]
        else:
            block = encoding["Int4"]["block"]
            self.must(block > 0 and weight["shape"], "a block")
            row = weight["shape"][-1]
            rows = count // row if row else 0
            stored, scales = rows * ((row + 1) // 2), rows * -(-row // block)
        self.must(encoding == "Raw" or weight["dtype"] == "F32", "a type that is not decoded to")
        self.must(weight["data"]["size_bytes"] == stored, "size of a weight")
        if scales is not None:
            fields = next(iter(encoding.values()))
            spans.append(fields["scale"])
            self.must(fields["scale"]["size_bytes"] == 4 * scales, "number of scales")
            if fields["zero_point"] is not None:
                spans.append(fields["zero_point"])
                self.must(fields["zero_point"]["size_bytes"] == scales, "number of zero points")
        for span in spans:
            self.must(span["offset"] % 64 == 0, "alignment")
            self.must(span["section"] < len(self.sections), "a section that is not there")
            self.must(span["offset"] + span["size_bytes"] <= len(self.sections[span["section"]]), "end of a section")

    def define(self, value, visible, own):
        self.must(value < len(self.graph["values"]) and value not in self.defined, f"definition of value {value}")
        for values in (self.defined, visible, own):
            values.add(value)

    def size(self, dtype, shape):
        self.within("rank", len(shape))
        self.must(DTYPES[dtype] * math.prod(max(dim, 1) for dim in shape) < 2**63, "a size")
        return DTYPES[dtype] * math.prod(shape)

    def within(self, limit, count):
        if count > LIMITS[limit]:
            refuse("E_LIMIT", limit)

    def must(self, holds, what):
        if not holds:
            refuse("E_INVALID_MODEL", what)


def ascending(items):
    key = lambda item: item.encode() if isinstance(item, str) else item
    return all(key(one) < key(two) for one, two in zip(items, items[1:]))


def check_golden(golden):
    if len(golden["cases"]) > 256:
        refuse("E_LIMIT", "cases")
    sound = all(math.isfinite(part) and part >= 0 for part in golden["tolerance"].values())
    for case in golden["cases"]:
        for tensor in case["inputs"]:
            sound &= len(tensor["bytes"]) == DTYPES[tensor["dtype"]] * math.prod(tensor["shape"])
            sound &= tensor["dtype"] != "Bool" or max(tensor["bytes"], default=0) < 2
        for reference in case["outputs"]:
            count, stride = math.prod(reference["shape"]), reference["stride"]
            sound &= stride > 0 and len(reference["bytes"]) == DTYPES[reference["dtype"]] * -(-count // stride)
    if not sound:
        refuse("E_CORRUPT", "a rule of golden cases")


def check_interface(graph, manifest):
    name = lambda value: graph["values"][value]
    inputs = [[name(entry["value"]), entry["dtype"], entry["shape"]] for entry in graph["body"]["inputs"]]
    same = inputs == [[port["name"], port["dtype"], port["shape"]] for port in manifest["inputs"]]
    same &= [name(value) for value in graph["body"]["outputs"]] == [port["name"] for port in manifest["outputs"]]
    if not same:
        refuse("E_INVALID_MODEL", "graph and manifest")
    if manifest["opset"] != OPSET:
        refuse("E_UNSUPPORTED_VERSION", "opset")


def weight_values(weight, sections):
    """The elements of a weight as little-endian bytes of its dtype: section 6.4."""
    def content(span):
        return sections[span["section"]][span["offset"]:span["offset"] + span["size_bytes"]]

    stored, encoding, shape = content(weight["data"]), weight["encoding"], weight["shape"]
    single = lambda number: struct.unpack("<f", struct.pack("<f", number))[0]
    if encoding == "Raw":
        return stored
    if encoding == "F16":
        numbers = struct.unpack(f"<{len(stored) // 2}e", stored)
        return struct.pack(f"<{len(numbers)}f", *numbers)
    fields = next(iter(encoding.values()))
    scales = struct.unpack(f"<{fields['scale']['size_bytes'] // 4}f", content(fields["scale"]))
    zeros = [0] * len(scales)
    if fields["zero_point"] is not None:
        zeros = struct.unpack(f"<{len(scales)}b", content(fields["zero_point"]))
    numbers = []
    for index in range(math.prod(shape)):
        if "Int8" in encoding:
            inner = math.prod(shape[fields["axis"] + 1:]) if fields["axis"] is not None else math.prod(shape)
            q, scale = struct.unpack_from("<b", stored, index)[0], index // inner % len(scales)
        else:
            row, column = divmod(index, shape[-1])
            byte = stored[row * ((shape[-1] + 1) // 2) + column // 2]
            half = byte >> 4 if column % 2 else byte & 15
            q = half - 16 if half > 7 else half
            scale = row * -(-shape[-1] // fields["block"]) + column // fields["block"]
        numbers.append(single((q - zeros[scale]) * scales[scale]))
    return struct.pack(f"<{len(numbers)}f", *numbers)


def read(folder):
    file = lambda name: (folder / name).read_bytes()
    sections = []
    while (folder / f"weights/{len(sections)}").exists():
        sections.append(file(f"weights/{len(sections)}"))
    answer = {}
    for name, decoder, versions in [("manifest", Manifest, [1]), ("graph", Graph, [1]), ("golden", Golden, [1, 2]), ("labels", Labels, [1])]:
        if (folder / name).exists():
            opened = decoder(file(name), versions)
            answer[name] = getattr(opened, name)()
            opened.end()
    if len(file("graph")) > LIMITS["bytes"]:
        refuse("E_LIMIT", "bytes")
    Rules(answer["graph"], sections).check()
    check_interface(answer["graph"], answer["manifest"])
    if "golden" in answer:
        check_golden(answer["golden"])
    # What a weight decodes to is long: its digest says the same.
    answer["weights"] = [
        [answer["graph"]["values"][weight["value"]], hashlib.sha256(weight_values(weight, sections)).hexdigest()]
        for weight in answer["graph"]["body"]["weights"]
    ]
    return answer


if __name__ == "__main__":
    try:
        print(json.dumps(read(Path(sys.argv[1]))))
    except Refused as refused:
        code, why = refused.args
        print(f"{code}: {why}", file=sys.stderr)
        sys.exit(1)
