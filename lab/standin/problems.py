"""Room lab/standin: everything that can go wrong, in ACP's two JSON forms.

One place decides what a client sees: OAuth endpoints and management endpoints word errors
differently. It must not know HTTP servers or stores.
"""

from __future__ import annotations


class StartRefused(Exception):
    """The process cannot start; the message says what was attempted, seen, and what to do."""


class StoreUnavailable(Exception):
    """A store did not answer in time. Never to be mistaken for "not found"."""

    def __init__(self, store: str, cause: str) -> None:
        super().__init__(f"{store} unavailable: {cause}")
        self.store = store
        self.cause = cause


class OAuthProblem(Exception):
    """An error of the workspace endpoints: {error, error_description, error_hint, ...}."""

    def __init__(self, status: int, error: str, description: str, hint: str = "") -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status = status
        self.error = error
        self.description = description
        self.hint = hint

    def body(self) -> dict[str, object]:
        """The JSON document a client receives."""
        return {
            "error": self.error,
            "error_description": self.description,
            "error_hint": self.hint,
            "cause": "",
            "status_code": self.status,
        }


class ManagementProblem(Exception):
    """An error of the management APIs: {error, error_code, status_code, details}."""

    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(f"{status} {code}: {error}")
        self.status = status
        self.code = code
        self.error = error

    def body(self) -> dict[str, object]:
        """The JSON document a client receives."""
        return {
            "error": self.error,
            "error_code": self.code,
            "status_code": self.status,
            "details": {},
        }


def invalid_client(description: str = "Client authentication failed") -> OAuthProblem:
    """401 for any failed client authentication; never says which part was wrong."""
    return OAuthProblem(401, "invalid_client", description, "Check client_id and client_secret.")


def invalid_grant(description: str) -> OAuthProblem:
    """400: the code or refresh token is unknown, expired, used, or someone else's."""
    return OAuthProblem(400, "invalid_grant", description, "Start the authorization again.")


def invalid_request(description: str) -> OAuthProblem:
    """400: a parameter is missing, doubled or malformed."""
    return OAuthProblem(400, "invalid_request", description)


def unavailable_body(problem: StoreUnavailable) -> dict[str, object]:
    """503 document: the same for both API families, so that every client understands it."""
    return {
        "error": "temporarily_unavailable",
        "error_code": "UNAVAILABLE",
        "error_description": f"The {problem.store} store does not answer.",
        "error_hint": "Try again shortly.",
        "cause": problem.cause[:200],
        "status_code": 503,
        "details": {},
    }
