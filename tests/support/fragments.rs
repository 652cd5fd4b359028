//! Finding pieces of tokens and secrets in what a program has said.

use std::collections::HashSet;

/// The shortest piece of a token that counts.
const OF_TOKEN: usize = 12;

/// The shortest piece of a secret that counts.
const OF_SECRET: usize = 8;

/// Every piece of some tokens and secrets.
#[derive(Default)]
pub(crate) struct Fragments {
    tokens: HashSet<Vec<u8>>,
    secrets: HashSet<Vec<u8>>,
}

impl Fragments {
    /// Adds a token, without its header, which says nothing.
    pub(crate) fn token(&mut self, token: &str) {
        let (_, signed) = token.split_once('.').unwrap();
        for part in signed.split('.').filter(|part| part.len() >= OF_TOKEN) {
            let pieces = part.as_bytes().windows(OF_TOKEN);
            self.tokens.extend(pieces.map(<[u8]>::to_vec));
        }
    }

    /// Adds a secret, in one of the ways in which it may be written.
    pub(crate) fn secret(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        let pieces = bytes.windows(OF_SECRET.min(bytes.len()));
        self.secrets.extend(pieces.map(<[u8]>::to_vec));
    }

    /// The first piece that stands in `text`, with some of what stands around it.
    pub(crate) fn found_in(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        for (known, length) in [(&self.tokens, OF_TOKEN), (&self.secrets, OF_SECRET)] {
            let mut pieces = bytes.windows(length);
            if let Some(place) = pieces.position(|piece| known.contains(piece)) {
                let around = &bytes[place.saturating_sub(200)..(place + 60).min(bytes.len())];
                return Some(String::from_utf8_lossy(around).into_owned());
            }
        }
        None
    }
}
