// Verifies tokens with jose from nothing but the issuer's URL.
//
// Standard input holds {"issuer", "audience", "tokens"}; the claims of each token go to standard
// output, as a JSON list.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

// The packages stand under target/interop, whose path is the one argument.
const require = createRequire(`${process.argv[2]}/`);
const jose = await import(pathToFileURL(require.resolve("jose")));

async function discover(issuer) {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await fetch(url, { redirect: "error" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  // A page in a browser may read it as well.
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  const metadata = await response.json();
  assert.equal(metadata.issuer, issuer);
  return metadata;
}

function forged(token) {
  const [header, payload, signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  const changed = JSON.stringify({ ...claims, sub: "somebody else" });
  return [header, Buffer.from(changed).toString("base64url"), signature].join(".");
}

const asked = JSON.parse(await text(process.stdin));
const metadata = await discover(asked.issuer);
const keys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri));
const expected = {
  issuer: asked.issuer,
  audience: asked.audience,
  algorithms: metadata.id_token_signing_alg_values_supported,
  typ: "JWT",
  clockTolerance: 0,
  requiredClaims: ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"],
};
const verified = [];
for (const token of asked.tokens) {
  const { payload, protectedHeader } = await jose.jwtVerify(token, keys, expected);
  assert.ok(protectedHeader.kid);
  await assert.rejects(jose.jwtVerify(forged(token), keys, expected), {
    code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
  });
  const elsewhere = { ...expected, audience: "https://other.example.com" };
  await assert.rejects(jose.jwtVerify(token, keys, elsewhere), {
    code: "ERR_JWT_CLAIM_VALIDATION_FAILED",
  });
  verified.push(payload);
}
process.stdout.write(JSON.stringify(verified));
