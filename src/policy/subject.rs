//! `sub` as Dex writes it: base64url over a protobuf message of user id and connector id.

use crate::jose::base64url;

/// The tag of field 1, `user_id`, a length-delimited string.
const USER_ID: u8 = 0x0a;

/// The tag of field 2, `connector_id`, a length-delimited string.
const CONNECTOR_ID: u8 = 0x12;

/// The subject of a user of a connector; empty fields are left out, as proto3 does.
pub fn dex(user_id: &str, connector_id: &str) -> String {
    let mut message = Vec::with_capacity(user_id.len() + connector_id.len() + 8);
    for (tag, text) in [(USER_ID, user_id), (CONNECTOR_ID, connector_id)] {
        if !text.is_empty() {
            message.push(tag);
            push_varint(text.len(), &mut message);
            message.extend_from_slice(text.as_bytes());
        }
    }
    base64url::encode(message)
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn push_varint(mut number: usize, message: &mut Vec<u8>) {
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            message.push(low);
            return;
        }
        message.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_dex() {
        for (user_id, connector_id, subject) in [
            ("foo", "bar", "CgNmb28SA2Jhcg"),
            ("0-385-28089-0", "mock", "Cg0wLTM4NS0yODA4OS0wEgRtb2Nr"),
            ("my-svc", "", "CgZteS1zdmM"),
            (
                "repo:octo/x:ref:refs/heads/main",
                "github-actions",
                "Ch9yZXBvOm9jdG8veDpyZWY6cmVmcy9oZWFkcy9tYWluEg5naXRodWItYWN0aW9ucw",
            ),
        ] {
            assert_eq!(dex(user_id, connector_id), subject);
        }
    }

    #[test]
    fn long_ids_take_a_longer_length() {
        let message = base64url::decode(&dex(&"a".repeat(300), "")).unwrap();
        assert_eq!(message[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(message.len(), 303);
    }
}
