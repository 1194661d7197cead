"""The API's descriptions of itself, with the paths that the stand-in knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.apps.documenso.release import Release

V1_VIEWER = "https://openapi-v1.documenso.com"

_V1 = {
    "/api/v1/documents": ("get", "post"),
    "/api/v1/documents/{id}": ("get", "delete"),
    "/api/v1/documents/{id}/download": ("get",),
    "/api/v1/documents/{id}/send": ("post",),
    "/api/v1/documents/{id}/resend": ("post",),
    "/api/v1/documents/{id}/recipients": ("post",),
    "/api/v1/documents/{id}/recipients/{recipientId}": ("patch", "delete"),
    "/api/v1/documents/{id}/fields": ("post",),
    "/api/v1/documents/{id}/fields/{fieldId}": ("patch", "delete"),
    "/api/v1/templates": ("get", "post"),
    "/api/v1/templates/{id}": ("get", "delete"),
    "/api/v1/templates/{templateId}/create-document": ("post",),
    "/api/v1/templates/{templateId}/generate-document": ("post",),
}
_V2 = {"/document": ("get",), "/document/{documentId}": ("get",)}
_V2_LATER = {"/envelope/get-many": ("post",)}


def v1() -> dict[str, Any]:
    """Return the description of the v1 API, the same in every release."""
    return _document("3.0.2", "Documenso API", "1.0.0", _V1)


def v2(release: Release) -> dict[str, Any]:
    """Return the description of the v2 API; what v2.0.0 says was not recorded, it gets the older title."""
    if release.strict:
        return _document("3.0.3", "Documenso v2 API", "1.0.0", {**_V2, **_V2_LATER})
    return _document("3.0.3", "Documenso v2 beta API", "0.0.0", _V2)


def _document(form: str, title: str, version: str, paths: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    return {
        "openapi": form,
        "info": {"title": title, "version": version},
        "paths": {path: {method: {"responses": {}} for method in methods} for path, methods in paths.items()},
    }
