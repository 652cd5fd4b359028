//! `[server]` alone: where a running server listens, whatever else its file says by now.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use config::{File, FileFormat, Map, Source, Value, ValueKind};

use super::address::Address;
use super::environment;
use super::problems::{Problem, Problems, Severity};
use super::section::read_table;
use super::settings::{Server, default_listen, read_server};
use super::value::Sink;

/// The most lines that one value of a broken file is looked for in.
const LONGEST_VALUE: usize = 50;

/// Reads `[server]` from the file at `path`, under the `REMINT__` variables of `environment`. The rest of the file is
/// not looked at.
///
/// Where the file or its `[server]` cannot be read, the text says so; what can be made out of it still counts, and the
/// default address is added to it.
pub fn load_server(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> (Server, Option<String>) {
    let (entries, mut doubt) = match read_file(path) {
        Ok(entries) => (entries, None),
        Err((entries, doubt)) => (entries, Some(doubt)),
    };
    let mut tree = Value::new(None, ValueKind::Table(entries));
    let environment: HashMap<_, _> = environment.into_iter().collect();
    let mut problems = Problems::new();
    environment::overlay(&mut tree, &environment, &mut problems);
    let mut entries = match tree.kind {
        ValueKind::Table(entries) => entries,
        _ => Map::new(),
    };
    entries.retain(|key, _| key == "server");
    let mut sink = Sink {
        problems,
        folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
        environment,
        listing: None,
    };
    let mut server = read_table(String::new(), entries, &mut sink, |root| {
        root.table("server", read_server)
    });
    let is_error =
        |found: &&Problem| found.severity == Severity::Error && found.path.starts_with("server");
    if let Some(error) = sink.problems.iter().find(is_error) {
        doubt.get_or_insert_with(|| {
            format!("{}: {}: {}", path.display(), error.path, error.message)
        });
    }
    let lists = [&mut server.listen, &mut server.metadata_listen];
    let of_tls = server.tls.iter_mut();
    let of_tls = of_tls.flat_map(|tls| [&mut tls.listen, &mut tls.metadata_listen]);
    for list in lists.into_iter().chain(of_tls) {
        list.retain(|address| !address.is_blank());
    }
    server.admin_listen = server.admin_listen.filter(|address| !address.is_blank());
    if doubt.is_some() {
        let missing = |address: &Address| !server.listen.contains(address);
        let default = default_listen()
            .into_iter()
            .filter(missing)
            .collect::<Vec<_>>();
        server.listen.extend(default);
    }
    (server, doubt)
}

/// The tables of the file; of one that cannot be read those that could be made out, and why it cannot.
fn read_file(path: &Path) -> Result<Map<String, Value>, (Map<String, Value>, String)> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| (Map::new(), format!("{name} cannot be read ({error})")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let extension = path.extension().and_then(|extension| extension.to_str());
    let format = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => FileFormat::Json,
        Some("yaml" | "yml") => FileFormat::Yaml,
        _ => FileFormat::Toml,
    };
    File::from_str(text, format).collect().map_err(|_| {
        let doubt = format!("{name} cannot be parsed, `remint check` says why");
        match format {
            FileFormat::Toml => (salvage(text), doubt),
            _ => (Map::new(), doubt),
        }
    })
}

/// The values under `[server]` and `[server.tls]` of a TOML text that is broken somewhere: each that can be read by itself.
fn salvage(text: &str) -> Map<String, Value> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Map::new();
    let mut heading = "";
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let line = line.trim_start();
        if line.starts_with('[') {
            heading = line;
        } else if is_of_server(heading, line) {
            let read = (1..=LONGEST_VALUE).find_map(|count| {
                let value = lines.get(at..at + count)?.join("\n");
                let read =
                    File::from_str(&format!("{heading}\n{value}"), FileFormat::Toml).collect();
                Some((count, read.ok()?))
            });
            if let Some((count, read)) = read {
                merge(&mut found, read);
                at += count;
                continue;
            }
        }
        at += 1;
    }
    found
}

/// Whether a line can be the beginning of a value of `[server]` or `[server.tls]`.
fn is_of_server(heading: &str, line: &str) -> bool {
    let name = heading.trim_start_matches('[').split(']').next();
    match name.unwrap_or_default().trim() {
        "" => line.starts_with("server"),
        name => name == "server" || name.starts_with("server."),
    }
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key).map(|known| &mut known.kind), value.kind) {
            (Some(ValueKind::Table(known)), ValueKind::Table(more)) => merge(known, more),
            (_, kind) => {
                into.insert(key, Value::new(None, kind));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is salvaged of a broken text, as one line.
    fn addresses(text: &str, environment: &[(&str, &str)]) -> (String, bool) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        fs::write(&file, text).unwrap();
        let variables = environment.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (server, doubt) = load_server(&file, variables);
        let tls = server.tls.iter().flat_map(|tls| &tls.listen);
        let all = server.admin_listen.iter().chain(&server.listen).chain(tls);
        let all: Vec<_> = all.map(ToString::to_string).collect();
        (all.join(" "), doubt.is_some())
    }

    #[test]
    fn what_is_wrong_elsewhere_does_not_matter() {
        for rest in [
            "",
            "[x]\nisuer = 1",
            "[[connectors]]\nallow = 5",
            "[keys]\nfile = 7",
            "[[clients]]\nid = \"a\"\nsecret_file = \"nowhere\"",
        ] {
            let text = format!("[server]\nlisten = [\"a:1\"]\n{rest}");
            assert_eq!(addresses(&text, &[]), ("a:1".to_owned(), false), "{rest}");
        }
        let text = "server.listen = [\"a:1\"]\n";
        let listen = [("REMINT__SERVER__LISTEN", "b:2,c:3")];
        assert_eq!(addresses(text, &listen), ("b:2 c:3".to_owned(), false));
        assert_eq!(addresses("", &[]), ("127.0.0.1:8080".to_owned(), false));
    }

    #[test]
    fn of_a_broken_file_what_can_be_made_out_counts_and_the_default() {
        for (text, found) in [
            ("[server]\nlisten = [\"a:1\"]\n[[connectors", "a:1"),
            (
                "x = \n[server]\nlisten = [\n  \"a:1\", # one\n  \"b:2\",\n]\n",
                "a:1 b:2",
            ),
            (
                "server.listen = [\"a:1\"]\nserver.admin_listen = \"b:2\"\n]",
                "b:2 a:1",
            ),
            (
                "[server]\nsocket_mode = \"\nadmin_listen = \"a:1\"\nlisten = [\"b:2\"\n[tokens]",
                "a:1",
            ),
            (
                "[ server ] # here\nlisten = []\n[server.tls]\nlisten = [\"a:1\"]\n[oops",
                "127.0.0.1:8080 a:1",
            ),
            ("[tokens]\nlisten = [\"a:1\"]\n[oops", ""),
            ("[server]\nlisten = \"a:1\"", ""),
            ("[server]\nlisten = [\":1\", \"a:1\"]", "a:1"),
            ("server = 5", ""),
            ("[server]\nlistn = []\nlisten = [\"a:1\"]", "a:1"),
        ] {
            let default = if found.contains("8080") {
                ""
            } else {
                "127.0.0.1:8080"
            };
            let expected = format!("{found} {default}");
            let (all, doubtful) = addresses(text, &[]);
            assert_eq!(all, expected.trim(), "{text}");
            assert!(doubtful, "{text}");
        }
        let listen = [("REMINT__SERVER__LISTEN", "b:2")];
        let (all, _) = addresses("[server]\nlisten = [\"a:1\"]\n[oops", &listen);
        assert_eq!(all, "b:2 127.0.0.1:8080");
    }

    #[test]
    fn a_file_that_is_gone_leaves_the_environment_and_the_default() {
        let variable = ("REMINT__SERVER__LISTEN".to_owned(), "b:2".to_owned());
        let (server, doubt) = load_server(Path::new("/nowhere/site.toml"), [variable]);
        let all: Vec<_> = server.listen.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["b:2", "127.0.0.1:8080"]);
        assert!(doubt.unwrap().contains("cannot be read"));
    }
}
