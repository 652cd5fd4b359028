//! What to say of a file that cannot be read or written: the system's words do not name the folder that is missing.

use std::io;
use std::path::Path;

/// Why `path` could not be opened, with the folder that is missing or is none.
pub(crate) fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => missing(path).unwrap_or_else(|| match path.read_link() {
            Ok(target) => format!("it is a link to {}, which does not exist", target.display()),
            Err(_) => "there is no such file".to_owned(),
        }),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            let mut above = folders(path);
            match above.find(|folder| folder.exists() && !folder.is_dir()) {
                Some(file) => format!("{} is a file, not a folder", file.display()),
                None => error.to_string(),
            }
        }
        io::ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        _ => error.to_string(),
    }
}

/// The folder of `path`, if that does not exist; where more are missing, the first of them too.
fn missing(path: &Path) -> Option<String> {
    let missing: Vec<_> = folders(path)
        .take_while(|folder| !folder.exists())
        .collect();
    let (deepest, first) = (missing.first()?, missing.last()?);
    let deepest = format!("the folder {} does not exist", deepest.display());
    Some(if missing.len() == 1 {
        deepest
    } else {
        format!("{deepest} (nor does {})", first.display())
    })
}

/// The folders above a path, the innermost first.
fn folders(path: &Path) -> impl Iterator<Item = &Path> {
    let above = path.ancestors().skip(1);
    above.filter(|folder| !folder.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_folder_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().display();
        std::fs::write(folder.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        for (name, words) in [
            ("a", "there is no such file".to_owned()),
            (
                "link",
                "it is a link to nowhere, which does not exist".to_owned(),
            ),
            ("a/b", format!("the folder {base}/a does not exist")),
            (
                "a/b/c/d",
                format!("the folder {base}/a/b/c does not exist (nor does {base}/a)"),
            ),
            ("file/a", format!("{base}/file is a file, not a folder")),
            ("", "it is a folder, not a file".to_owned()),
        ] {
            let path = folder.path().join(name);
            let error = std::fs::read(&path).unwrap_err();
            assert_eq!(explain(&path, &error), words, "{name}");
        }
    }
}
