"""Reads OTLP payloads with the types of OpenTelemetry's own package, and says what is in them.

decode.py FILE...: each is protobuf, or JSON if its name ends so. Prints a list of
{"resource": {...}, "metrics": {name: {"kind", "unit", "points", "temporality", "total"}}} on stdout.
"""

import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


def read(path):
    content = open(path, "rb").read()
    request = ExportMetricsServiceRequest()
    if path.endswith(".json"):
        # Strict: a name that the standard does not know is an error.
        json_format.Parse(content, request)
    else:
        request.ParseFromString(content)
        # Nothing that these types do not know.
        assert request.SerializeToString(deterministic=True) is not None
        assert len(request.SerializeToString()) == len(content), "there are unknown or doubled fields"
    return request


def total(kind, point):
    """What a point counts, after checking that it is consistent."""
    if kind in ("gauge", "sum"):
        return point.as_double if point.HasField("as_double") else point.as_int
    if kind == "histogram":
        assert point.count == sum(point.bucket_counts), point
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1, point
        assert list(point.explicit_bounds) == sorted(set(point.explicit_bounds)), point
    else:
        assert point.count == point.zero_count + sum(point.positive.bucket_counts), point
        base = 2.0 ** (2.0 ** -point.scale)
        counts = point.positive.bucket_counts
        low = base ** point.positive.offset
        high = base ** (point.positive.offset + len(counts))
        if counts and not point.zero_count:
            assert low <= point.min * 1.0001 and point.max <= high * 1.0001, (low, high, point)
            assert low * point.count <= point.sum * 1.0001 <= high * point.count * 1.0002, point
    return point.count


def metric(metric):
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    for point in data.data_points:
        assert point.time_unix_nano > 0
        if kind != "gauge":
            assert 0 < point.start_time_unix_nano <= point.time_unix_nano, metric.name
        keys = [attribute.key for attribute in point.attributes]
        assert len(keys) == len(set(keys)), keys
    return {
        "kind": kind,
        "unit": metric.unit,
        "points": len(data.data_points),
        "temporality": getattr(data, "aggregation_temporality", None),
        "total": sum(total(kind, point) for point in data.data_points),
    }


def session(resource_metrics):
    (scope,) = resource_metrics.scope_metrics
    assert scope.scope.name == "pannier"
    names = [metric.name for metric in scope.metrics]
    assert len(names) == len(set(names)), names
    return {
        "resource": {it.key: it.value.string_value for it in resource_metrics.resource.attributes},
        "metrics": {it.name: metric(it) for it in scope.metrics},
    }


json.dump([session(it) for path in sys.argv[1:] for it in read(path).resource_metrics], sys.stdout)
