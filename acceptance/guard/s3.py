"""Every S3 operation the suite may send. What is not declared here cannot be sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """A declared S3 operation.

    Attributes:
        name: as the S3 API calls it.
        method: boto3's method for it.
        parameters: what must be given, and nothing else.
        purpose: why the suite sends it, for the storage's owner.
        footprint: what it leaves behind.
    """

    name: str
    method: str
    parameters: frozenset[str]
    purpose: str
    footprint: str = "a line in the storage's and its proxy's access log"


HEAD_BUCKET = Operation(
    "HeadBucket", "head_bucket", frozenset({"Bucket"}), "see that the bucket exists and the keys may read it"
)
HEAD_OBJECT = Operation(
    "HeadObject", "head_object", frozenset({"Bucket", "Key"}), "read a stored file's size and type"
)
GET_FIRST_BYTES = Operation(
    "GetObject",
    "get_object",
    frozenset({"Bucket", "Key", "Range"}),
    "read a stored file's first bytes, by which its type is told; the content is not kept",
)
OPERATIONS = (HEAD_BUCKET, HEAD_OBJECT, GET_FIRST_BYTES)
"""Every operation that is ever sent to the storage: per run one HeadBucket, and per sampled file one of each
other, at most eight at a time."""
