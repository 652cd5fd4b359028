"""Gets tokens with Authlib from nothing but the issuer's URL and a client's credentials.

Standard input holds {"issuer", "client_id", "client_secret", "subject_token", "audience"}; the
replies to each request, made with each way of authenticating, go to standard output as JSON.
"""

import json
import sys

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"


def discover(issuer):
    """The metadata, by the path insertion of RFC 8414."""
    reply = requests.get(get_well_known_url(issuer, external=True), timeout=20)
    reply.raise_for_status()
    metadata = AuthorizationServerMetadata(reply.json())
    assert metadata["issuer"] == issuer, metadata
    return metadata


def exchange(session, asked):
    return session.fetch_token(
        grant_type=EXCHANGE,
        subject_token=asked["subject_token"],
        subject_token_type=JWT,
        audience=asked["audience"],
    )


def refusal(session, ask):
    try:
        ask(session)
    except OAuthError as error:
        return error.error
    raise AssertionError("a token was given that should not be")


def main():
    asked = json.load(sys.stdin)
    metadata = discover(asked["issuer"])
    assert {"client_credentials", EXCHANGE} <= set(metadata["grant_types_supported"]), metadata
    replies = []
    for method in ("client_secret_basic", "client_secret_post"):
        assert method in metadata["token_endpoint_auth_methods_supported"], metadata
        options = {
            "client_id": asked["client_id"],
            "token_endpoint": metadata["token_endpoint"],
            "token_endpoint_auth_method": method,
        }
        with OAuth2Session(client_secret=asked["client_secret"], **options) as session:
            own = session.fetch_token(grant_type="client_credentials", scope="openid profile")
            traded = exchange(session, asked)
            replies.append({"own": own, "traded": traded})
        with OAuth2Session(client_secret="wrong", **options) as session:
            for ask in (
                lambda session: session.fetch_token(grant_type="client_credentials"),
                lambda session: exchange(session, asked),
            ):
                assert refusal(session, ask) == "invalid_client"
    json.dump(replies, sys.stdout)


if __name__ == "__main__":
    main()
