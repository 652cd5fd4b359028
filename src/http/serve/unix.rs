//! Unix sockets: put in place without a moment in which the wrong people could connect, taken over
//! where nobody listens any more, and removed at the end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};

use super::listen::BindError;
use crate::config::explain_unreadable;

/// A listener on a unix socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct UnixSocket {
    // Dropped first: while the listener is open no other file can get the inode of this one.
    _file: Option<SocketFile>,
    path: PathBuf,
    pub(super) listener: UnixListener,
}

impl UnixSocket {
    /// Where clients find it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a unix socket at `path` with the permission bits `mode`; needs a Tokio runtime.
///
/// A socket that refuses connections is replaced; one that somebody listens on, and anything that
/// is no socket, stays as it is and is an error. Of several processes that open one path at once, one gets it.
pub async fn bind_unix(path: &Path, mode: u32) -> Result<UnixSocket, BindError> {
    let failed = |why: String| BindError::new(format!("unix:{}", path.display()), why);
    // Of two starts at once both could find a stale socket, and one would take the place of the other.
    let _lock = Lock::take(path).map_err(failed)?;
    check_place(path).await.map_err(failed)?;
    put(path, mode).map_err(|error| failed(advice(path, &error)))
}

/// Takes over a unix socket that was opened by another program, whose file stays; needs a Tokio runtime.
pub fn adopt_unix(listener: std::os::unix::net::UnixListener) -> io::Result<UnixSocket> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let path = address.as_pathname().unwrap_or(Path::new("(no path)"));
    Ok(UnixSocket {
        _file: None,
        path: path.to_owned(),
        listener: UnixListener::from_std(listener)?,
    })
}

/// Whether a socket may be put at `path`.
async fn check_place(path: &Path) -> Result<(), String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(advice(path, &error)),
    };
    if !found.file_type().is_socket() {
        return Err(
            "what is there is not a socket, and is left alone (remove it, or choose another path)"
                .to_owned(),
        );
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(
            "a socket is there that this user may not open, so it cannot be told whether another program listens on it".to_owned(),
        ),
        // It answers, or has no room in its queue, or is of another kind.
        _ => Err("another program listens on it (stop it, or choose another path)".to_owned()),
    }
}

/// How often a lock file may be gone again once it is locked.
const MOST_TRIES: usize = 100;

/// The right to put a socket at one path: a locked file beside it, which goes when this is dropped. The system lifts
/// the lock of a process that died.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes it, unless another process has it.
    fn take(socket: &Path) -> Result<Self, String> {
        let mut name = OsString::from(".");
        name.push(socket.file_name().unwrap_or_default());
        name.push(".lock");
        let path = socket.with_file_name(name);
        // A link may lead anywhere, and opening a pipe would wait for a reader.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        for _ in 0..MOST_TRIES {
            // Only this user can open it, so nobody else can hold up a start.
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags.bits().cast_signed())
                .open(&path)
                .map_err(|error| match error.raw_os_error() {
                    Some(code)
                        if [Errno::LOOP, Errno::NXIO]
                            .map(Errno::raw_os_error)
                            .contains(&code) =>
                    {
                        format!("{} is no plain file (remove it)", path.display())
                    }
                    _ => advice(socket, &error),
                })?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err("another start is opening it at this moment (start only one, or choose another path)".to_owned());
                }
                Err(TryLockError::Error(error)) => {
                    return Err(format!("{} cannot be locked: {error}", path.display()));
                }
            }
            // The one that had it before has removed its file, and a third one may have made a new one.
            let own = file.metadata().map_err(|error| advice(socket, &error))?;
            let is_own = |found: fs::Metadata| (found.dev(), found.ino()) == (own.dev(), own.ino());
            if fs::symlink_metadata(&path).is_ok_and(is_own) {
                return Ok(Self { path, _file: file });
            }
        }
        Err(format!(
            "{} goes and comes back all the time (something else uses it: choose another path)",
            path.display()
        ))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the socket in a folder that only this user can enter, and moves it to `path`.
fn put(path: &Path, mode: u32) -> io::Result<UnixSocket> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    SocketAddr::from_pathname(path)?;
    let private = tempfile::Builder::new()
        .prefix(".")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(folder)?;
    let at = private.path().join("s");
    let listener = UnixListener::bind(&at)?;
    fs::set_permissions(&at, Permissions::from_mode(mode))?;
    let found = fs::symlink_metadata(&at)?;
    fs::rename(&at, path)?;
    Ok(UnixSocket {
        _file: Some(SocketFile {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        }),
        path: path.to_owned(),
        listener,
    })
}

/// What an operator can do about `error`.
fn advice(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidInput => {
            "the path is too long for a unix socket (about 100 bytes; choose a shorter one)"
                .to_owned()
        }
        io::ErrorKind::NotFound => format!("{}: create it", explain_unreadable(path, error)),
        io::ErrorKind::PermissionDenied => {
            "permission denied (let this user write to its folder, or choose another)".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "its folder is read-only (mount a volume or tmpfs there, or choose another)".to_owned()
        }
        _ => explain_unreadable(path, error),
    }
}

/// The file of a socket, removed when it is dropped unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // What cannot be removed is taken over by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}
