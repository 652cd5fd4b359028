"""Verifies tokens with PyJWT and jwcrypto from nothing but the issuer's URL.

Standard input holds {"issuer", "audience", "tokens"}; what verifiers of many kinds insist on is
asserted on the way. The claims of each token go to standard output, as a JSON list.
"""

import base64
import json
import sys
import urllib.request

import jwt
from jwcrypto import jwk, jwt as jwcrypto_jwt
from jwcrypto.common import JWException


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.headers["Content-Type"], response.read()


def discover(issuer):
    kind, body = fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
    metadata = json.loads(body)
    # Spring refuses any other type; most compare the issuer byte for byte.
    assert kind == "application/json", kind
    assert metadata["issuer"] == issuer, metadata["issuer"]
    for name in ("jwks_uri", "token_endpoint"):
        assert metadata[name].startswith(issuer.rstrip("/") + "/"), metadata[name]
    assert metadata["response_types_supported"] == ["id_token"]
    assert metadata["subject_types_supported"] == ["public"]
    return metadata


def published(metadata):
    kind, body = fetch(metadata["jwks_uri"])
    assert kind == "application/jwk-set+json", kind
    keys = json.loads(body)["keys"]
    # One key of an unknown type, or a shared kid, breaks whole parties.
    assert keys and {key["kty"] for key in keys} <= {"RSA", "EC"}, keys
    kids = [key["kid"] for key in keys]
    assert len(set(kids)) == len(kids) and all(kids), kids
    return keys, body


def part(token, index):
    text = token.split(".")[index]
    assert "=" not in text, "padding"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def check_shape(token, keys, metadata):
    header = json.loads(part(token, 0))
    assert header["typ"] == "JWT", header
    assert header["kid"] in {key["kid"] for key in keys}, header
    # go-oidc refuses what is not listed here.
    assert header["alg"] in metadata["id_token_signing_alg_values_supported"], header
    claims = json.loads(part(token, 1), parse_float=lambda text: sys.exit(f"a fraction: {text}"))
    for name in ("iat", "nbf", "exp"):
        assert type(claims[name]) is int, claims
    # Some parties allow no leeway at all: nbf lies in the past from the start.
    assert claims["nbf"] == claims["iat"] - 5, claims
    assert isinstance(claims["sub"], str) and claims["sub"], claims
    assert isinstance(claims["jti"], str) and claims["jti"], claims
    return header["alg"], claims


def by_pyjwt(metadata, token, alg, audience):
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    required = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]
    return jwt.decode(
        token,
        key,
        algorithms=[alg],
        audience=audience,
        issuer=metadata["issuer"],
        leeway=0,
        options={"require": required},
    )


def by_jwcrypto(metadata, jwks, token, alg, audience):
    keys = jwk.JWKSet.from_json(jwks)
    expected = {"iss": metadata["issuer"], "aud": audience, "exp": None, "nbf": None}
    found = jwcrypto_jwt.JWT(algs=[alg], check_claims=expected, expected_type="JWS")
    found.leeway = 0
    found.deserialize(token, keys)
    return json.loads(found.claims)


def refuses(error, verify):
    try:
        verify()
    except error:
        return
    raise AssertionError("a token was accepted that should not be")


def forged(token):
    """The token with one claim changed and its signature kept."""
    header, _, signature = token.split(".")
    claims = json.loads(part(token, 1))
    claims["sub"] = "somebody else"
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}.{signature}"


def main():
    asked = json.load(sys.stdin)
    metadata = discover(asked["issuer"])
    keys, jwks = published(metadata)
    verified = []
    for token in asked["tokens"]:
        alg, claims = check_shape(token, keys, metadata)
        audience = asked["audience"]
        assert by_pyjwt(metadata, token, alg, audience) == claims
        assert by_jwcrypto(metadata, jwks, token, alg, audience) == claims
        for wrong, aud in ((forged(token), audience), (token, "https://other.example.com")):
            refuses(jwt.InvalidTokenError, lambda: by_pyjwt(metadata, wrong, alg, aud))
            refuses(JWException, lambda: by_jwcrypto(metadata, jwks, wrong, alg, aud))
        verified.append(claims)
    json.dump(verified, sys.stdout)


if __name__ == "__main__":
    main()
