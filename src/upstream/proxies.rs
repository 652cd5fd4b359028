//! The proxies that upstream requests go through, as the environment names them.

/// The variables the HTTP client reads, each with the spelling that wins first.
const VARIABLES: [[&str; 2]; 4] = [
    ["HTTPS_PROXY", "https_proxy"],
    ["HTTP_PROXY", "http_proxy"],
    ["ALL_PROXY", "all_proxy"],
    ["NO_PROXY", "no_proxy"],
];

/// One line such as `HTTPS_PROXY=http://***@proxy:3128 NO_PROXY=internal`; `None` where no proxy is set.
pub(super) fn describe(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set: Vec<_> = VARIABLES
        .iter()
        .filter_map(|names| {
            let (name, value) = names
                .iter()
                .find_map(|name| Some((*name, variable(name)?)))?;
            let no_proxy = name.eq_ignore_ascii_case("NO_PROXY");
            let value = if no_proxy { value } else { redacted(&value) };
            (!value.is_empty()).then_some((name, value, no_proxy))
        })
        .collect();
    if set.iter().all(|(_, _, no_proxy)| *no_proxy) {
        return None;
    }
    let parts: Vec<_> = set
        .iter()
        .map(|(name, value, _)| format!("{name}={value}"))
        .collect();
    Some(parts.join(" "))
}

/// A proxy's address without its user name and password, and without anything behind the authority.
fn redacted(value: &str) -> String {
    let (scheme, rest) = value
        .split_once("://")
        .map_or(("", value), |(scheme, rest)| (scheme, rest));
    let (userinfo, host) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(userinfo, host)| (Some(userinfo), host));
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    let hidden = if userinfo.is_some() { "***@" } else { "" };
    format!("{scheme}{separator}{hidden}{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[(&str, &str)]) -> Option<String> {
        describe(|name| {
            let (_, value) = set.iter().find(|(set, _)| *set == name)?;
            Some((*value).to_owned())
        })
    }

    #[test]
    fn passwords_are_hidden() {
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("NO_PROXY", "internal")]), None);
        assert_eq!(
            with(&[
                ("https_proxy", "http://user:p@ss/w0rd@proxy:3128/x"),
                ("no_proxy", ".internal")
            ])
            .unwrap(),
            "https_proxy=http://***@proxy:3128 no_proxy=.internal"
        );
        assert_eq!(
            with(&[("ALL_PROXY", "u:p@proxy")]).unwrap(),
            "ALL_PROXY=***@proxy"
        );
        assert_eq!(
            with(&[("HTTP_PROXY", "proxy:1")]).unwrap(),
            "HTTP_PROXY=proxy:1"
        );
    }
}
