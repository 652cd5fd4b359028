//! Which connectors and clients can issue the same `sub`: a relying party such as AWS sees only `iss`, `sub` and `aud`.

use std::collections::{BTreeSet, HashMap};

use crate::config::client::Client;
use crate::config::connector::Connector;
use crate::config::problems::{Problems, child_path};
use crate::config::settings::{Settings, SubjectFormat};

/// How many connectors or clients one warning names.
const SHOWN: usize = 5;

/// Warns where two of them can issue the same one.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    // Dex's format puts the connector into each subject.
    if settings.tokens.subject_format == SubjectFormat::Dex {
        return;
    }
    let groups = groups(&settings.connectors);
    warn_of_equal(&groups, problems);
    warn_of_beginnings(&groups, problems);
    warn_of_clients(&groups, &settings.clients, problems);
}

/// What a connector can issue as `sub`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Subjects {
    /// Anything that begins so.
    Begin(String),
    /// Only this.
    Are(String),
}

impl Subjects {
    fn text(&self) -> &str {
        match self {
            Self::Begin(text) | Self::Are(text) => text,
        }
    }

    fn include(&self, subject: &str) -> bool {
        match self {
            Self::Begin(beginning) => subject.starts_with(beginning.as_str()),
            Self::Are(one) => one == subject,
        }
    }
}

/// The connectors that can issue the same subjects, in the order of the file.
struct Group<'a> {
    subjects: Subjects,
    connectors: Vec<&'a Connector>,
    /// Whether their issuers differ.
    is_mixed: bool,
}

impl Group<'_> {
    /// Whether a connector here and one of `other` trust different issuers. One issuer alone tells its own subjects apart.
    fn differs_from(&self, other: &Self) -> bool {
        self.is_mixed || other.is_mixed || self.issuer() != other.issuer()
    }

    fn issuer(&self) -> Option<&str> {
        self.connectors.first().map(|one| one.issuer.as_str())
    }
}

fn groups(connectors: &[Connector]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: HashMap<Subjects, usize> = HashMap::new();
    for connector in connectors {
        for subjects in issued(connector) {
            let index = *known.entry(subjects.clone()).or_insert(groups.len());
            match groups.get_mut(index) {
                Some(group) => {
                    let first = group.connectors.first();
                    group.is_mixed |= first.is_some_and(|first| first.issuer != connector.issuer);
                    group.connectors.push(connector);
                }
                None => groups.push(Group {
                    subjects,
                    connectors: vec![connector],
                    is_mixed: false,
                }),
            }
        }
    }
    groups
}

/// What `connector` can issue, by each of its rules; where there are any, only they issue something.
fn issued(connector: &Connector) -> BTreeSet<Subjects> {
    let prefix = connector.subject_prefix.as_deref().unwrap_or_default();
    let source = |claims: &[(String, String)]| {
        let sub = claims.iter().find(|(name, _)| name == "sub");
        sub.map(|(_, source)| computed(prefix, source))
    };
    let copied = |names: &[String]| {
        let copied = names.iter().any(|name| name == "sub");
        copied.then(|| Subjects::Begin(prefix.to_owned()))
    };
    let own = || source(&connector.claims).or_else(|| copied(&connector.clone_claims));
    if connector.rules.is_empty() {
        return own().into_iter().collect();
    }
    let rules = connector.rules.iter();
    rules
        .filter_map(|rule| {
            let computed = source(&rule.claims).or_else(|| source(&connector.claims));
            computed.or_else(|| copied(&rule.clone_claims)).or_else(own)
        })
        .collect()
}

/// What a computed `sub` can be: a literal is only itself, and a sum begins with the literal that it begins with.
fn computed(prefix: &str, source: &str) -> Subjects {
    let (first, rest) = match source.split_once('+') {
        Some((first, rest)) => (first, Some(rest)),
        None => (source, None),
    };
    // Any other character could be an operator that makes something else of the sum.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.[]'\"+/-:".contains(c) || c == ' ';
    match (literal(first), rest) {
        (Some(text), None) => Subjects::Are(format!("{prefix}{text}")),
        (Some(text), Some(rest)) if rest.chars().all(is_plain) && !rest.contains(" in ") => {
            Subjects::Begin(format!("{prefix}{text}"))
        }
        _ => Subjects::Begin(prefix.to_owned()),
    }
}

/// The text of a string literal without anything special in it.
fn literal(source: &str) -> Option<&str> {
    let source = source.trim();
    let quote = source.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let text = source.strip_prefix(quote)?.strip_suffix(quote)?;
    (!text.contains(['\'', '"', '\\'])).then_some(text)
}

/// One warning for each group of connectors whose subjects a relying party could not tell apart.
fn warn_of_equal(groups: &[Group<'_>], problems: &mut Problems) {
    for group in groups {
        let Some(second) = group.connectors.get(1) else {
            continue;
        };
        problems.warning(
            child_path(&second.path, "subject_prefix"),
            format!(
                "the connectors {} can issue the same `sub`, and AWS sees only iss, sub and aud: give each a subject_prefix of its own",
                listed(group.connectors.iter().map(|one| one.id.as_str()))
            ),
        );
    }
}

/// One warning of all connectors whose subjects begin with what another one can issue, too.
fn warn_of_beginnings(groups: &[Group<'_>], problems: &mut Problems) {
    let mut sorted: Vec<_> = groups.iter().collect();
    let place = |group: &Group<'_>| (group.subjects.text().to_owned(), group.subjects.clone());
    sorted.sort_by_cached_key(|group| place(group));
    // Those whose beginning the next one may have, each within the one before it.
    let mut outer: Vec<&Group<'_>> = Vec::new();
    let mut pairs = Vec::new();
    for group in sorted {
        let text = group.subjects.text();
        while outer
            .last()
            .is_some_and(|last| !text.starts_with(last.subjects.text()))
        {
            outer.pop();
        }
        if let Some(wider) = outer.iter().rev().find(|wider| wider.differs_from(group)) {
            pairs.push((*wider, group));
        }
        if matches!(group.subjects, Subjects::Begin(_)) {
            outer.push(group);
        }
    }
    let shown: Vec<_> = pairs
        .iter()
        .take(SHOWN)
        .filter_map(|pair| example(pair))
        .collect();
    let Some((path, _)) = shown.first() else {
        return;
    };
    let mut examples: Vec<_> = shown.iter().map(|(_, example)| example.clone()).collect();
    if pairs.len() > SHOWN {
        examples.push(format!("{} more", pairs.len() - SHOWN));
    }
    problems.warning(
        child_path(path, "subject_prefix"),
        format!(
            "can be the beginning of another connector's `sub`, so that a token of one could pass for one of the other, and AWS sees only iss, sub and aud: {}; give every connector a subject_prefix that no other one begins with",
            examples.join("; ")
        ),
    );
}

/// Of two groups a connector each with different issuers: where the first stands, and what both can issue.
fn example<'a>((wider, narrower): &(&Group<'a>, &Group<'a>)) -> Option<(&'a str, String)> {
    let first = narrower.connectors.first()?;
    let differing = |one: &&&Connector| one.issuer != first.issuer;
    let (one, other) = if let Some(one) = wider.connectors.iter().find(differing) {
        (*one, *first)
    } else {
        let one = *wider.connectors.first()?;
        let differing = |other: &&&Connector| other.issuer != one.issuer;
        (one, *narrower.connectors.iter().find(differing)?)
    };
    let wide = match wider.subjects.text() {
        "" => "any".to_owned(),
        text => format!("any that begins with {text:?}"),
    };
    let narrow = match &narrower.subjects {
        Subjects::Begin(text) => format!("those that begin with {text:?}"),
        Subjects::Are(text) => format!("{text:?}"),
    };
    let text = format!("{:?} can issue {wide}, {:?} {narrow}", one.id, other.id);
    Some((&one.path, text))
}

/// One warning for each group of connectors that can issue the id of a client, which is the `sub` of the client's own tokens.
fn warn_of_clients(groups: &[Group<'_>], clients: &[Client], problems: &mut Problems) {
    let has_own_tokens = |client: &&Client| {
        let mut grants = client.grants.iter();
        !client.id.is_empty() && !client.public && grants.any(|grant| grant == "client_credentials")
    };
    let clients: Vec<_> = clients.iter().filter(has_own_tokens).collect();
    for group in groups {
        let Some(first) = group.connectors.first() else {
            continue;
        };
        let same = clients.iter().map(|client| client.id.as_str());
        let same: Vec<_> = same.filter(|id| group.subjects.include(id)).collect();
        if same.is_empty() {
            continue;
        }
        problems.warning(
            child_path(&first.path, "subject_prefix"),
            format!(
                "the {} {} can issue as `sub` the id of the {} {}, and AWS sees only iss, sub and aud: give the connector a subject_prefix that no client's id begins with",
                plural("connector", group.connectors.len()),
                listed(group.connectors.iter().map(|one| one.id.as_str())),
                plural("client", same.len()),
                listed(same.into_iter()),
            ),
        );
    }
}

fn plural(word: &str, count: usize) -> String {
    format!("{word}{}", if count == 1 { "" } else { "s" })
}

/// The first of the names, and how many more there are.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<_> = names.take(SHOWN).map(|name| format!("{name:?}")).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_subject_is_what_its_source_shows() {
        let begin = |text: &str| Subjects::Begin(text.to_owned());
        let are = |text: &str| Subjects::Are(text.to_owned());
        for (source, expected) in [
            ("'deploy'", are("p:deploy")),
            (" \"deploy\" ", are("p:deploy")),
            ("'ci:' + claims.project_path", begin("p:ci:")),
            ("'ci:' + claims['a'] + '/' + claims.b", begin("p:ci:")),
            ("claims.sub", begin("p:")),
            ("claims.sub + 'x'", begin("p:")),
            ("'a' + claims.b == 'ab' ? 'x' : 'y'", begin("p:")),
            ("'a' + 'b' in ['x']", begin("p:")),
            ("'it\\'s'", begin("p:")),
            ("'a' == 'a'", begin("p:")),
            ("'a+b'", begin("p:")),
        ] {
            assert_eq!(computed("p:", source), expected, "{source}");
        }
    }
}
