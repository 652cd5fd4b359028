//! Amounts of memory as they are written in a configuration: `"64MiB"`, `"512KiB"`, or a number of bytes.

/// What a size looks like, for messages.
pub(super) const FORMS: &str =
    "a size such as \"64MiB\", \"512KiB\" or \"1GiB\", or a number of bytes such as 67108864";

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) u64);

/// Reads one size; a number without a unit is of bytes. `None` where it is not one.
pub(super) fn parse(text: &str) -> Option<Size> {
    let (number, unit) = text.split_at_checked(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )?;
    let factor = match unit {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).map(Size)
}

/// In the largest unit that makes it a whole number.
impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_unit() {
        for (text, bytes, shown) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("512KiB", 512 << 10, "512KiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("1000B", 1000, "1000B"),
            ("65536", 65_536, "64KiB"),
            ("0", 0, "0B"),
        ] {
            let size = parse(text);
            assert_eq!(size, Some(Size(bytes)), "{text}");
            assert_eq!(Size(bytes).to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_is_not_a_size() {
        for text in [
            "",
            "MiB",
            "64 MiB",
            "64MB",
            "64M",
            "64Mi",
            "64mib",
            "-1KiB",
            "+1KiB",
            "1.5GiB",
            "1GiB1MiB",
            "64MiB ",
            "99999999999999999999",
            "18446744073709551615GiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
