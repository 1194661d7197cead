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
        signed_by: whose keys it is signed with, for people.
    """

    name: str
    method: str
    parameters: frozenset[str]
    purpose: str
    footprint: str = "a line in the storage's and its proxy's access log"
    signed_by: str = "the target file's storage.access_key"


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
LIST_ONE = Operation(
    "ListObjectsV2",
    "list_objects_v2",
    frozenset({"Bucket", "MaxKeys"}),
    "see that the CRM's own keys are accepted, and that nobody lists the bucket without keys; one object is "
    "asked for, and its name is not kept",
    signed_by="the target file's storage.access_key, the keys in the CRM's environment, and nobody's",
)
OPERATIONS = (HEAD_BUCKET, HEAD_OBJECT, GET_FIRST_BYTES, LIST_ONE)
"""Every operation that is ever sent to the storage: per run one HeadBucket and three listings, and per
sampled file one of each other, at most eight at a time."""
