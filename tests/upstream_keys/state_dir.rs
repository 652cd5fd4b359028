//! Keys that survive a restart: each `Run` is a process of its own as far as the sources can tell.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use remint::upstream::{
    FolderProblem, KeysError, Maintenance, SourceSpec, SourceState, UnavailableKind,
};

use super::issuer::{Issuer, Reply, jwks};
use super::*;

const T0: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;

/// One source of one run, whose keys are kept in a folder.
struct Run {
    bench: Bench,
    _maintenance: Maintenance,
}

impl Run {
    /// A run that starts at the Unix time `at`.
    fn start(folder: &Path, spec: &SourceSpec, at: u64) -> Self {
        let clock = Arc::new(ManualClock::at(Duration::from_secs(at)));
        let mut upstreams = Upstreams::new(clock.clone());
        assert_eq!(upstreams.keep_in(folder), None);
        let source = upstreams.add("ci", spec).unwrap();
        let maintenance = upstreams.start();
        Self {
            bench: Bench {
                clock,
                upstreams,
                source,
            },
            _maintenance: maintenance,
        }
    }

    async fn find(&self, kid: &str) -> Result<usize, KeysError> {
        self.bench.find(kid).await
    }

    fn writes(&self) -> (u64, u64) {
        let writes = self.bench.source.status().state_writes.unwrap();
        (writes.succeeded, writes.failed)
    }

    async fn written(&self, times: u64) {
        until("the keys are kept", || self.writes() == (times, 0)).await;
    }

    async fn failed(&self, times: u64) {
        until("a fetch fails", || {
            self.bench.source.status().failed == times
        })
        .await;
    }
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The only file in a folder.
fn only(folder: &Path) -> PathBuf {
    let names = names(folder);
    assert_eq!(names.len(), 1, "{names:?}");
    folder.join(names.first().unwrap())
}

/// A folder in which the key `a` of `issuer` was kept at `T0`; the issuer is down since.
async fn kept(issuer: &Issuer) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(folder.path(), &keys_at(issuer), T0);
    run.written(1).await;
    issuer.set("/keys", Reply::status(503));
    folder
}

/// What a lookup of `a` says after a restart at `at` while the issuer is down.
async fn found_after(folder: &Path, spec: &SourceSpec, at: u64) -> Result<usize, KeysError> {
    let run = Run::start(folder, spec, at);
    let found = run.find("a").await;
    run.failed(1).await;
    // The failed fetch changes nothing.
    assert_eq!(run.find("a").await.is_ok(), found.is_ok());
    found
}

fn assert_failed(found: Result<usize, KeysError>) {
    let kind = unavailable(&found.unwrap_err()).0;
    assert_eq!(kind, UnavailableKind::Failed);
}

#[tokio::test]
async fn kept_keys_answer_before_the_first_fetch_ends() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = kept(&issuer).await;
    issuer.hold();
    let run = Run::start(folder.path(), &keys_at(&issuer), T0 + 3600);
    assert_eq!(run.find("a").await, Ok(1));
    let status = run.bench.source.status();
    assert!(
        matches!(&status.state, SourceState::Stale { age, keys: 1 } if age.as_secs() == 3600),
        "{status}"
    );
    assert!(status.is_untried() && !status.is_degraded());
    // They count as stale, so the issuer is asked although nobody needs it to be.
    until("the issuer is asked", || issuer.hits("/keys") == 2).await;
    issuer.set_keys(&["b"]);
    issuer.release();
    run.failed(1).await;
    assert_eq!(run.find("a").await, Ok(1));
    // A kid that is not among them is looked for, as in any outage.
    assert_failed(run.find("b").await);
    run.bench.advance(60);
    assert_eq!(run.find("b").await, Ok(1));
    assert_eq!(run.find("a").await, Err(KeysError::Unknown));
    run.written(1).await;
    issuer.hold();
    let run = Run::start(folder.path(), &keys_at(&issuer), T0 + 3700);
    assert_eq!(run.find("b").await, Ok(1));
    issuer.release();
    assert_eq!(run.find("a").await, Err(KeysError::Unknown));
}

#[tokio::test]
async fn kept_keys_are_read_without_a_lookup_and_never_replace_fetched_ones() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = kept(&issuer).await;
    issuer.hold();
    let run = Run::start(folder.path(), &keys_at(&issuer), T0 + 3600);
    let state = || run.bench.source.status().state;
    until("they are read", || {
        matches!(state(), SourceState::Stale { keys: 1, .. })
    })
    .await;
    until("the issuer is asked", || issuer.hits("/keys") == 2).await;
    issuer.release();
    issuer.set_keys(&["b", "c"]);
    let run = Run::start(folder.path(), &keys_at(&issuer), T0 + 3600);
    run.written(1).await;
    assert_eq!(run.find("a").await, Err(KeysError::Unknown));
    assert_eq!(run.find("c").await, Ok(1));
}

#[tokio::test]
async fn kept_keys_end_after_a_day_and_are_not_believed_from_the_future() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = kept(&issuer).await;
    let spec = keys_at(&issuer);
    let at = |at| found_after(folder.path(), &spec, at);
    assert_eq!(at(T0).await, Ok(1));
    assert_eq!(at(T0 + DAY - 1).await, Ok(1));
    assert_failed(at(T0 + DAY).await);
    assert_failed(at(T0 - 1).await);
    // The day goes on where the earlier run left it.
    let run = Run::start(folder.path(), &spec, T0 + DAY - 600);
    assert_eq!(run.find("a").await, Ok(1));
    run.failed(1).await;
    run.bench.advance(599);
    assert_eq!(run.find("a").await, Ok(1));
    run.failed(2).await;
    run.bench.advance(1);
    assert_failed(run.find("a").await);
    assert_eq!(run.bench.source.status().state, SourceState::Failed);
}

#[tokio::test]
async fn what_is_damaged_or_not_ours_is_not_used() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = kept(&issuer).await;
    let spec = keys_at(&issuer);
    let file = only(folder.path());
    let good = fs::read(&file).unwrap();
    let bare = jwks(&["a"]).into_bytes();
    let changed = String::from_utf8(good.clone())
        .unwrap()
        .replace("\"a\"", "\"b\"");
    let later = String::from_utf8(good.clone()).unwrap();
    let later = later.replace(&T0.to_string(), &(T0 + 1).to_string());
    let large = [&good[..], &vec![b' '; 270_000]].concat();
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("cut", &good[..good.len() - 1]),
        ("without its head", &bare),
        ("another key", changed.as_bytes()),
        ("another time", later.as_bytes()),
        ("too large", &large),
    ] {
        fs::write(&file, bytes).unwrap();
        let found = found_after(folder.path(), &spec, T0 + 60).await;
        assert!(found.is_err(), "{what}");
    }
    fs::write(&file, &good).unwrap();
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o620, 0o602] {
        mode(open);
        assert_failed(found_after(folder.path(), &spec, T0 + 60).await);
    }
    mode(0o600);
    // Only root can make such a file.
    if chown(&file, Some(1), None).is_ok() {
        assert_failed(found_after(folder.path(), &spec, T0 + 60).await);
        chown(&file, Some(0), None).unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target");
    fs::rename(&file, &target).unwrap();
    symlink(&target, &file).unwrap();
    assert_failed(found_after(folder.path(), &spec, T0 + 60).await);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_failed(found_after(folder.path(), &spec, T0 + 60).await);
    fs::remove_dir(&file).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(fifo.unwrap().success());
    assert_failed(found_after(folder.path(), &spec, T0 + 60).await);
    fs::rename(&target, &file).unwrap();
    assert_eq!(found_after(folder.path(), &spec, T0 + 60).await, Ok(1));
}

#[tokio::test]
async fn a_file_is_only_for_its_own_source() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = kept(&issuer).await;
    let file = only(folder.path());
    let mut other = keys_at(&issuer);
    other.headers = vec![("x-tenant".to_owned(), "2".to_owned())];
    assert_failed(found_after(folder.path(), &other, T0 + 60).await);
    // Nor under the other's name, which the other's next good fetch shows.
    issuer.set_keys(&["b"]);
    Run::start(folder.path(), &other, T0 + 120).written(1).await;
    issuer.set("/keys", Reply::status(503));
    let theirs = names(folder.path())
        .into_iter()
        .map(|name| folder.path().join(name))
        .find(|name| *name != file)
        .unwrap();
    fs::copy(&file, &theirs).unwrap();
    assert_failed(found_after(folder.path(), &other, T0 + 180).await);
    assert_eq!(
        found_after(folder.path(), &keys_at(&issuer), T0 + 180).await,
        Ok(1)
    );
}

#[tokio::test]
async fn files_are_private_and_named_by_a_digest() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = "/../../%2e%2e/keys?secret=s3cret";
    issuer.set("/%2e%2e/keys?secret=s3cret", Reply::ok(jwks(&["a"])));
    issuer.set("/keys?secret=s3cret", Reply::ok(jwks(&["a"])));
    let location = Location::JwksUri(format!("{}{path}", issuer.url));
    let spec = SourceSpec::new("https://issuer.example/../..", location);
    Run::start(folder.path(), &spec, T0).written(1).await;
    let file = only(folder.path());
    let name = file.file_name().unwrap().to_str().unwrap();
    let digest = name.strip_suffix(".keys").unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn the_same_document_is_written_again_only_when_the_file_is_old() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(folder.path(), &keys_at(&issuer), T0);
    run.written(1).await;
    let fetch = async || assert_eq!(run.bench.source.fetch_now().await, Ok(1));
    run.bench.advance(599);
    fetch().await;
    run.bench.advance(1);
    fetch().await;
    run.written(2).await;
    fetch().await;
    issuer.set_keys(&["b"]);
    fetch().await;
    run.written(3).await;
    // Had one of the others been written too, it would have been before the last.
    assert_eq!(run.writes(), (3, 0));
    let text = fs::read_to_string(only(folder.path())).unwrap();
    assert!(text.contains(&(T0 + 600).to_string()) && text.contains("\"b\""));
    // What is no good fetch leaves the file alone.
    issuer.set("/keys", Reply::ok(r#"{"keys":[]}"#));
    run.bench.fetch_error().await;
    assert_eq!(fs::read_to_string(only(folder.path())).unwrap(), text);
}

#[tokio::test]
async fn a_file_and_what_never_started_are_not_kept() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(jwks(&["a"]).as_bytes()).unwrap();
    let location = Location::JwksFile(file.path().to_owned());
    let run = Run::start(folder.path(), &SourceSpec::new("i", location), T0);
    assert_eq!(run.find("a").await, Ok(1));
    assert_eq!(run.bench.source.status().state_writes, None);
    let clock = Arc::new(ManualClock::at(Duration::from_secs(T0)));
    let mut upstreams = Upstreams::new(clock);
    assert_eq!(upstreams.keep_in(folder.path()), None);
    let source = upstreams.add("ci", &keys_at(&issuer)).unwrap();
    assert_eq!(source.fetch_now().await, Ok(1));
    assert_eq!(names(folder.path()), BTreeSet::new());
}

#[tokio::test]
async fn only_useless_files_of_ours_are_removed() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = kept(&issuer).await;
    let path = |name: &str| folder.path().join(name);
    let file = only(folder.path());
    let ours = file.file_name().unwrap().to_str().unwrap().to_owned();
    let foreign = format!("{}.keys", "0".repeat(64));
    let copy = format!("{}.keys", "a".repeat(64));
    let linked = format!("{}.keys", "b".repeat(64));
    fs::write(path("notes.txt"), "mine").unwrap();
    fs::write(path(&foreign), "not what it looks like").unwrap();
    fs::copy(&file, path("old.keys")).unwrap();
    fs::copy(&file, path(&copy)).unwrap();
    symlink(&file, path(&linked)).unwrap();
    fs::write(path(".remint-left.tmp"), "{").unwrap();
    fs::write(path(".other.tmp"), "{").unwrap();
    let before = names(folder.path());

    // Sources that are gone may come back within the day.
    let other = SourceSpec::new(&issuer.url, Location::Discovery);
    let now = Clock::unix(&remint::clock::SystemClock::new()).as_secs();
    let run = Run::start(folder.path(), &other, now.min(T0 + DAY - 1));
    run.failed(1).await;
    assert_eq!(names(folder.path()), before);

    // This run has the source, so its file stays, however old.
    let run = Run::start(folder.path(), &keys_at(&issuer), T0 + DAY);
    let gone = |name: &str| !path(name).exists();
    until("the copy goes", || gone(&copy) && gone(".remint-left.tmp")).await;
    run.failed(1).await;
    let mut expected = before;
    expected.remove(&copy);
    expected.remove(".remint-left.tmp");
    assert_eq!(names(folder.path()), expected);

    let run = Run::start(folder.path(), &other, T0 + DAY);
    until("ours goes", || gone(&ours)).await;
    run.failed(1).await;
    expected.remove(&ours);
    assert_eq!(names(folder.path()), expected);
}

#[tokio::test]
async fn a_failing_write_fails_nothing_else_and_is_tried_again() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let run = Run::start(&state, &keys_at(&issuer), T0);
    run.written(1).await;
    fs::remove_dir_all(&state).unwrap();
    issuer.set_keys(&["a", "b"]);
    assert_eq!(run.bench.source.fetch_now().await, Ok(2));
    until("the write fails", || run.writes() == (1, 1)).await;
    assert_eq!(run.find("b").await, Ok(1));
    assert!(!run.bench.source.status().is_degraded());
    fs::create_dir(&state).unwrap();
    assert_eq!(run.bench.source.fetch_now().await, Ok(2));
    until("the write succeeds", || run.writes() == (2, 1)).await;
    only(&state);
}

#[test]
fn what_is_wrong_with_the_folder_is_said_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |path: &Path| {
        let clock = Arc::new(ManualClock::at(Duration::ZERO));
        Upstreams::new(clock).keep_in(path)
    };
    let warns = |path: &Path, words: &str| match problem(path) {
        Some(FolderProblem::Warning(warning)) => assert!(warning.contains(words), "{warning}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(folder.path()), None);
    warns(&folder.path().join("missing"), "does not exist");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(problem(&file), Some(FolderProblem::Error(_))));
    warns(&file.join("below"), "cannot be looked at");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    warns(folder.path(), "chmod 0700");
    warns(Path::new("/proc/self"), "cannot be written to");
}

#[tokio::test]
async fn degraded_sources_are_counted_as_they_change() {
    let (one, two) = (
        Issuer::with_keys(&["a"]).await,
        Issuer::with_keys(&["a"]).await,
    );
    let mut bench = Bench::at(&one);
    let second = bench.upstreams.add("two", &keys_at(&two)).unwrap();
    let degraded = bench.upstreams.degraded();
    let fails = async |issuer: &Issuer, source: &Arc<KeySource>| {
        issuer.set("/keys", Reply::status(500));
        source.fetch_now().await.unwrap_err();
    };
    let recovers = async |issuer: &Issuer, source: &Arc<KeySource>| {
        issuer.set_keys(&["a"]);
        assert_eq!(source.fetch_now().await, Ok(1));
    };
    assert!(degraded.is_none());
    fails(&one, &bench.source).await;
    fails(&one, &bench.source).await;
    fails(&two, &second).await;
    assert!(!degraded.is_none());
    recovers(&one, &bench.source).await;
    assert!(!degraded.is_none() && second.status().is_degraded());
    recovers(&two, &second).await;
    recovers(&two, &second).await;
    assert!(degraded.is_none());
    // Neither idleness nor the end of the day is trouble by itself.
    bench.advance(2 * DAY);
    assert!(degraded.is_none() && !second.status().is_degraded());
    fails(&two, &second).await;
    assert!(!degraded.is_none());
}
