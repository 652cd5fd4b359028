//! The socket as hyper sees it: it reports to the connection's `Activity`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::frames::Frames;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most that hyper gets at once of HTTP/1. It makes its buffer larger with every read that fills it, and keeps it
/// while a body is waited for: with one less than its smallest, that stays as it is.
const LARGEST_READ: usize = 8191;

/// A socket that reports what passes through it.
pub(super) struct Watched<I> {
    io: I,
    activity: Arc<Activity>,
    /// What was read to see which protocol it is, and what hyper has not been given of it.
    first: [u8; PREFACE.len()],
    filled: usize,
    given: usize,
    /// What hyper gave back unread.
    back: Bytes,
    /// Looks on where the protocol is HTTP/2.
    frames: Option<Frames>,
    refused: bool,
}

impl<I> Watched<I> {
    pub(super) fn new(io: I, activity: Arc<Activity>) -> Self {
        Self {
            io,
            activity,
            first: [0; PREFACE.len()],
            filled: 0,
            given: 0,
            back: Bytes::new(),
            frames: None,
            refused: false,
        }
    }

    /// The socket, and whether hyper refused a head by itself: that reply was held back.
    pub(super) fn into_parts(self) -> (I, bool) {
        (self.io, self.refused)
    }

    /// Waits for as many bytes as it takes to see whether the connection is HTTP/2; hyper gets them, too.
    pub(super) fn poll_is_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>>
    where
        I: AsyncRead + Unpin,
    {
        loop {
            let (seen, room) = self.first.split_at_mut(self.filled);
            if room.is_empty() && seen == PREFACE {
                self.activity.become_http2();
                self.frames = Some(Frames::default());
                return Poll::Ready(Ok(true));
            }
            if !PREFACE.starts_with(seen) {
                return Poll::Ready(Ok(false));
            }
            let mut buf = ReadBuf::new(room);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            let read = buf.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(false));
            }
            self.filled += read;
            self.activity.bytes_read();
        }
    }

    /// Takes back what hyper has read and not looked at.
    pub(super) fn give_back(&mut self, bytes: Bytes) {
        self.back = bytes;
    }

    /// Waits for the first bytes of a next request; hyper gets them, too. False: there is none any more.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<bool>
    where
        I: AsyncRead + Unpin,
    {
        if !self.back.is_empty() {
            return Poll::Ready(true);
        }
        let mut buf = ReadBuf::new(&mut self.first);
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf));
        (self.filled, self.given) = (buf.filled().len(), 0);
        if read.is_err() || self.filled == 0 {
            return Poll::Ready(false);
        }
        self.activity.bytes_read();
        Poll::Ready(true)
    }

    /// Runs a write, unless it is hyper's own bare refusal of a head: nothing else is written to HTTP/1
    /// while no request is in flight, and the connection sends a better one.
    fn write(
        &mut self,
        length: usize,
        write: impl FnOnce(Pin<&mut I>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>>
    where
        I: Unpin,
    {
        if self.frames.is_none() && self.activity.in_flight() == 0 {
            self.refused = true;
            return Poll::Ready(Ok(length));
        }
        let written = write(Pin::new(&mut self.io));
        self.activity.wrote(written.is_pending());
        written
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.has_hung_up() {
            return Poll::Ready(Ok(()));
        }
        let held = this.first.get(this.given..this.filled).unwrap_or_default();
        if !held.is_empty() {
            let given = held.len().min(buf.remaining());
            buf.put_slice(held.split_at(given).0);
            this.given += given;
            return Poll::Ready(Ok(()));
        }
        if !this.back.is_empty() {
            let given = this.back.len().min(buf.remaining());
            buf.put_slice(&this.back.split_to(given));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = if this.frames.is_none() && buf.remaining() > LARGEST_READ {
            poll_read_some(Pin::new(&mut this.io), cx, buf)
        } else {
            Pin::new(&mut this.io).poll_read(cx, buf)
        };
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            match &mut this.frames {
                Some(frames) => this.activity.head_is_open(frames.see(bytes)),
                None => this.activity.bytes_read(),
            }
        }
        read
    }
}

/// Reads less than hyper has room for.
fn poll_read_some<I: AsyncRead>(
    io: Pin<&mut I>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let mut some = ReadBuf::new(buf.initialize_unfilled_to(LARGEST_READ));
    let read = io.poll_read(cx, &mut some);
    let length = some.filled().len();
    buf.advance(length);
    read
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(buf.len(), |io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        self.write(length, |io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes the socket only when it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        // TLS may still hold what the socket does not take.
        self.activity.wrote(flushed.is_pending());
        if flushed.is_ready() {
            self.activity.flushed();
        }
        flushed
    }

    /// Closing HTTP/1 is left to the connection, which may have a last reply to send.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.frames.is_some() {
            return Pin::new(&mut self.io).poll_shutdown(cx);
        }
        Poll::Ready(Ok(()))
    }
}
