// Gets tokens with openid-client from nothing but the issuer's URL and a client's credentials.
//
// Standard input holds {"issuer", "client_id", "client_secret", "subject_token", "audience"}; the
// replies to each request, made with each way of authenticating, go to standard output as JSON.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

// The packages stand under target/interop, whose path is the one argument.
const require = createRequire(`${process.argv[2]}/`);
const client = await import(pathToFileURL(require.resolve("openid-client")));

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

const asked = JSON.parse(await text(process.stdin));
const exchanged = {
  subject_token: asked.subject_token,
  subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
  audience: asked.audience,
};

// `oidc` appends the well-known part to the issuer, `oauth2` inserts it as RFC 8414 does.
function discover(method, secret, algorithm) {
  return client.discovery(new URL(asked.issuer), asked.client_id, undefined, method(secret), {
    algorithm,
    execute: [client.allowInsecureRequests],
  });
}

const replies = [];
for (const method of [client.ClientSecretBasic, client.ClientSecretPost]) {
  for (const algorithm of ["oidc", "oauth2"]) {
    const config = await discover(method, asked.client_secret, algorithm);
    assert.equal(config.serverMetadata().issuer, asked.issuer);
    // The library checks the ID token: its issuer, its audience and its times.
    const own = await client.clientCredentialsGrant(config, { scope: "openid profile" });
    assert.equal(own.claims().sub, asked.client_id);
    const traded = await client.genericGrantRequest(config, EXCHANGE, exchanged);
    replies.push({ own, traded });
    const wrong = await discover(method, "wrong", algorithm);
    // Each begins when it is awaited: a rejection that nobody awaits yet ends the process.
    for (const refused of [
      () => client.clientCredentialsGrant(wrong),
      () => client.genericGrantRequest(wrong, EXCHANGE, exchanged),
    ]) {
      // This library wants the challenge that RFC 6749 §5.2 asks for.
      await assert.rejects(refused, (error) => {
        assert.equal(error.code, "OAUTH_WWW_AUTHENTICATE_CHALLENGE");
        assert.deepEqual(error.cause, [{ scheme: "basic", parameters: { realm: "remint" } }]);
        return error.status === 401;
      });
    }
  }
}
process.stdout.write(JSON.stringify(replies));
