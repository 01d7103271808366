"""What a client of OAuth 2.0 gets: a token, or why there is none."""

from typing import Literal

from pydantic import BaseModel, Field

from app.api.schemas import Strict


class AccessToken(Strict):
    """A token for some minutes. Send it as `Authorization: Bearer`; ask for another when it ends."""

    access_token: str = Field(
        pattern=r"^eoi_at_[0-9a-f]{12}_[0-9a-f]{48}_[0-9a-f]{8}$",
        examples=["eoi_at_5f2c9a01b7de_" + "0" * 48 + "_24bd2afd"],
    )
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds.", examples=[600])
    scope: str = Field(
        description="What it covers, separated by spaces.", examples=["submissions:read attachments:read"]
    )


class TokenRefused(BaseModel):
    """Why there is no token (RFC 6749, section 5.2)."""

    error: Literal[
        "invalid_request",
        "invalid_client",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    ]
    error_description: str | None = Field(default=None, description="For people.")
