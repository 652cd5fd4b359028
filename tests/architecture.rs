//! The shape of the source: who may import whom, and what production code may not do.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rooms of `src`, lowest first: a room imports only from rooms on lines above its own.
const LEVELS: [&[&str]; 8] = [
    &["clock", "random", "oauth", "version"],
    &["config"],
    &["jose", "keyfile", "limits"],
    &["policy", "upstream", "clients", "replay"],
    &["grant"],
    &["http"],
    &["app"],
    &["cli"],
];

/// Where warp may be named: the routes, the type of the whole service, and the demo's issuer.
const WARP: [&str; 3] = ["src/http/", "src/app.rs", "src/cli/"];

/// Where a part may be switched in.
const FEATURES: [&str; 2] = ["src/lib.rs", "src/replay/mod.rs"];

/// What a request must never meet.
const PANICS: [&str; 7] = [
    ".unwrap(",
    ".expect(",
    "panic!(",
    "todo!(",
    "unimplemented!(",
    "unreachable!(",
    "process::exit(",
];

const TESTS_ONLY: &str = "#[cfg(test)]";

/// A source file without comments, literals and test modules.
struct Source {
    path: String,
    /// `["cli", "keys"]` for `src/cli/keys.rs`, `["cli"]` for `src/cli/mod.rs`.
    module: Vec<String>,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    let declared = |file: &PathBuf| test_files(file, &bare(&fs::read_to_string(file).unwrap()));
    let for_tests: BTreeSet<_> = files.iter().flat_map(declared).collect();
    files.retain(|file| !for_tests.contains(file));
    let sources: Vec<_> = files.iter().map(|file| Source::read(root, file)).collect();
    assert!(sources.len() > 50, "the source was not found");
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let path = file
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let module = path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .split('/')
            .filter(|name| !["mod", "lib", "main"].contains(name))
            .map(str::to_owned)
            .collect();
        let code = without_tests(&bare(&fs::read_to_string(file).unwrap()));
        Self { path, module, code }
    }

    /// The rooms that it names by `crate::` or by enough `super::`.
    fn imports(&self) -> BTreeSet<String> {
        let mut rooms = BTreeSet::new();
        let up = "super::".repeat(self.module.len().max(1));
        let starts = ["crate::", up.as_str()];
        for root in starts {
            for (start, _) in self.code.match_indices(root) {
                let before = self.code[..start].chars().next_back();
                // `xcrate::` is another word, and one `super` more would leave the crate.
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                    continue;
                }
                rooms.extend(first_names(&self.code[start + root.len()..]));
            }
        }
        rooms
    }
}

/// The names that a path goes on with: one, or those at the top of a group.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (place, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[place + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The code with comments and the insides of literals blanked out.
fn bare(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let length = literal(rest, code.chars().next_back()).unwrap_or(0);
        if length > 0 {
            code.push(' ');
            at += length;
        } else {
            let c = rest.chars().next().unwrap();
            code.push(c);
            at += c.len_utf8();
        }
    }
    code
}

/// How long the comment or literal is that `rest` begins with, if it is one.
fn literal(rest: &str, before: Option<char>) -> Option<usize> {
    let after = |start: usize, end: &str| {
        let found = rest[start..].find(end);
        Some(found.map_or(rest.len(), |place| start + place + end.len()))
    };
    if rest.starts_with("//") {
        return after(2, "\n");
    }
    if rest.starts_with("/*") {
        return after(2, "*/");
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    if let (Some(raw), false) = (raw, in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let start = rest.len() - raw.len() + hashes + 1;
            return after(start, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let mut escaped = false;
    for (place, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(place + 1),
            // A lifetime has no closing quote behind its first letter.
            _ if quote == '\'' && place > 1 && !rest[1..].starts_with('\\') => return None,
            _ => {}
        }
    }
    None
}

/// The code without the items that are built for tests only.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, item)) = rest.split_once(TESTS_ONLY) {
        kept.push_str(before);
        let end = item.find(['{', ';']).unwrap();
        let skipped = if item[end..].starts_with('{') {
            closing(&item[end..])
        } else {
            1
        };
        rest = &item[end + skipped..];
    }
    kept.push_str(rest);
    kept
}

/// The files of the modules that `code` declares for tests only.
fn test_files(file: &Path, code: &str) -> Vec<PathBuf> {
    let folder = match file.file_name().unwrap().to_str().unwrap() {
        "mod.rs" | "lib.rs" | "main.rs" => file.parent().unwrap().to_path_buf(),
        _ => file.with_extension(""),
    };
    let items = code.split(TESTS_ONLY).skip(1).map(str::trim_start);
    let modules = items.filter_map(|item| item.strip_prefix("mod ")?.split_once(';'));
    modules
        .filter(|(name, _)| !name.contains('{'))
        .map(|(name, _)| folder.join(format!("{name}.rs")))
        .collect()
}

/// How long the block is that begins with the first brace of `text`.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    for (place, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    panic!("a test module does not end");
}

fn level(room: &str) -> Option<usize> {
    LEVELS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in sources() {
        let Some(room) = source.module.first() else {
            continue;
        };
        let Some(own) = level(room) else {
            wrong.push(format!("{}: give the room {room} a level", source.path));
            continue;
        };
        for import in source.imports() {
            seen += 1;
            if import != *room && level(&import).is_none_or(|theirs| theirs >= own) {
                wrong.push(format!("{} imports {import}", source.path));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found");
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn production_code_does_not_panic() {
    let mut wrong = Vec::new();
    for source in sources() {
        for word in PANICS {
            if source.code.contains(word) {
                wrong.push(format!("{} has {word}", source.path));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn warp_and_features_stay_in_their_files() {
    let mut wrong = Vec::new();
    let mut users = 0;
    for Source { path, code, .. } in sources() {
        if code.contains("warp::") {
            users += 1;
            if !WARP.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path} names warp"));
            }
        }
        let switches = code.contains("cfg(feature") || code.contains("cfg(not(feature");
        if switches && !FEATURES.contains(&path.as_str()) {
            wrong.push(format!("{path} switches on a feature"));
        }
    }
    assert!(users > 3, "warp is used, but was not found");
    assert_eq!(wrong, [""; 0]);
}

/// A `Verified` without a signature is made where an answer of the issuer was read, and nowhere else.
#[test]
fn only_an_answer_of_the_issuer_replaces_a_signature() {
    let makers = ["src/jose/", "src/upstream/userinfo/"];
    let mut seen = 0;
    for Source { path, code, .. } in sources() {
        if code.contains("by_userinfo(") {
            seen += 1;
            assert!(makers.iter().any(|place| path.starts_with(place)), "{path}");
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn one_library_does_all_tls_and_crypto() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--offline", "--locked", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains("aws-lc-rs"), "{crates:?}");
    for other in [
        "ring",
        "openssl",
        "openssl-sys",
        "native-tls",
        "boring",
        "mbedtls",
        "wolfssl",
    ] {
        assert!(!crates.contains(other), "{other} is in the tree");
    }
}

#[test]
fn the_reader_of_the_source_sees_what_it_should() {
    let text = r##"
        use crate::{grant::{self, Exchange}, http, cli::out};
        /* crate::comment */ // crate::line
        const A: &str = "crate::text \" crate::more"; const B: &str = r#"crate::raw"#;
        fn quote<'a>(c: &'a char) -> bool { *c == '"' || *c == '\'' || *c == '{' }
        use super::super::jose; use super::sibling;
        #[cfg(test)]
        mod tests { fn f() { crate::tested(); x.unwrap(); } }
        #[cfg(test)]
        fn helper() -> u8 { if true { crate::helped() } else { x.unwrap() } }
        #[cfg(test)]
        mod further;
        fn after() { crate::policy::decide() }
    "##;
    let source = Source {
        path: String::new(),
        module: vec!["upstream".to_owned(), "fetch".to_owned()],
        code: without_tests(&bare(text)),
    };
    let found: Vec<_> = source.imports().into_iter().collect();
    assert_eq!(found, ["cli", "grant", "http", "jose", "policy"]);
    assert!(!source.code.contains(".unwrap("));
    let files = test_files(Path::new("src/upstream/mod.rs"), &bare(text));
    assert_eq!(files, [Path::new("src/upstream/further.rs")]);
}
