//! Looks at HTTP/2 frames as they go by (RFC 9113 §4.1): only to know since when a head is on its way.

/// The length of the head of a frame.
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Where in the stream of frames the connection is. It believes nothing: hyper judges the frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; FRAME_HEAD],
    filled: usize,
    payload: usize,
    /// A head has begun, and its last frame has not ended.
    open: bool,
    /// The frame that is passing ends the head.
    last: bool,
}

impl Frames {
    /// Takes what was read after the preface; says whether a request head is open now.
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let (_, rest) = bytes.split_at(self.payload.min(bytes.len()));
                self.payload -= bytes.len() - rest.len();
                bytes = rest;
                self.end_frame();
                continue;
            }
            let (byte, rest) = bytes.split_at(1);
            if let (Some(place), [byte]) = (self.head.get_mut(self.filled), byte) {
                *place = *byte;
            }
            self.filled += 1;
            bytes = rest;
            if self.filled == FRAME_HEAD {
                self.begin_frame();
            }
        }
        self.open
    }

    fn begin_frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.filled = 0;
        self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.open = true;
            self.last = flags & END_HEADERS != 0;
        } else {
            self.last = false;
        }
        self.end_frame();
    }

    fn end_frame(&mut self) {
        if self.payload == 0 && self.last {
            self.open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend(vec![0xff; length.into()]);
        frame
    }

    #[test]
    fn a_head_is_open_until_its_last_byte() {
        let parts = [
            (frame(0x4, 0, 6), false),
            (frame(HEADERS, 0, 3), true),
            (frame(CONTINUATION, END_HEADERS, 0), false),
            (frame(0x0, END_HEADERS, 5), false),
            (frame(HEADERS, END_HEADERS, 200), false),
        ];
        for size in [1, 2, 7, 1000] {
            let mut frames = Frames::default();
            for (bytes, open) in &parts {
                let states: Vec<_> = bytes.chunks(size).map(|part| frames.see(part)).collect();
                assert_eq!(states.last(), Some(open));
            }
        }
        let mut frames = Frames::default();
        let whole = frame(HEADERS, END_HEADERS, 9);
        assert!(frames.see(&whole[..17]));
        assert!(!frames.see(&whole[17..]));
    }
}
