//! `remint keys rotate` and `remint keys prune`.

use std::time::Duration;

use super::super::out;
use super::{KeyFile, RotateArgs, now};
use crate::config::problems::Problems;
use crate::http::MAX_AGE;
use crate::jose::{self, NotRotated, Rotated, Rotation, SigningAlgorithm, rfc3339};
use crate::keyfile::{self, Edit};

/// How far the clocks of replicas may be apart, and how long they may take to read the new file.
const SLACK: Duration = Duration::from_secs(60);

/// Adds the next key, and says what happens when.
pub(super) fn rotate(file: &KeyFile, args: &RotateArgs) -> Result<(), String> {
    let alg = SigningAlgorithm::from(args.alg);
    let rotated = keyfile::edit(&file.path, |listed| {
        let rotation = Rotation {
            now: now(),
            lead: args.lead,
            retire_after: args.retire_after,
        };
        jose::rotate(listed, &file.choice, alg, rotation)
            .map(Edit::Write)
            .map_err(|refused| words(&refused))
    });
    let rotated = rotated.map_err(|error| error.to_string())?;
    out::line(&rotated.kid);
    tell(&rotated, alg);
    warn(file, args, &rotated);
    Ok(())
}

fn words(refused: &NotRotated) -> String {
    match refused {
        NotRotated::Unfit(problems) => format!("{refused}:\n{}", lines(problems)),
        _ => refused.to_string(),
    }
}

fn lines(problems: &Problems) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn tell(rotated: &Rotated, alg: SigningAlgorithm) {
    let from = rfc3339(rotated.signs_from);
    out::error(format_args!(
        "note: {:?} is published from now on, and signs with {alg} from {from} on",
        rotated.kid
    ));
    match &rotated.old {
        Some(old) => out::error(format_args!(
            "note: {old:?} signs until then, and leaves the published keys at {}; `remint keys prune` can take it out after that",
            rfc3339(rotated.published_until)
        )),
        None => out::error(format_args!(
            "note: no key signs with {alg} before that; `remint keys generate` makes one that signs at once"
        )),
    }
    out::error(
        "note: servers must have the new file before that; after `remint publish`, publish again now",
    );
}

/// Warns of times that are too short for verifiers; what they break cannot be mended afterwards.
fn warn(file: &KeyFile, args: &RotateArgs, rotated: &Rotated) {
    let needed = MAX_AGE + SLACK;
    if args.lead < needed {
        out::error(format_args!(
            "warning: --lead {} s is short: verifiers keep the public keys for {} s, and servers take a while to read the file, so some refuse the first tokens of the new key as signed by an unknown one; {} s is the least that is safe, 24h leaves room for parties that keep keys longer. `remint keys remove --kid {} --yes` takes the new key back",
            args.lead.as_secs(),
            MAX_AGE.as_secs(),
            needed.as_secs(),
            rotated.kid
        ));
    }
    let (longest, source) = file.longest();
    if rotated.old.is_some() && args.retire_after < longest {
        out::error(format_args!(
            "warning: --retire-after {} s is short: a token may live for {} s ({source}), so verifiers refuse the last tokens of the old key as signed by an unknown one",
            args.retire_after.as_secs(),
            longest.as_secs()
        ));
    }
    if file.settings.is_none() {
        out::error(
            "note: if a configuration names keys under [keys.signing], these always sign: give --config to have that checked",
        );
    }
}

/// Takes out what is past.
pub(super) fn prune(file: &KeyFile) -> Result<(), String> {
    let pruned = keyfile::edit(&file.path, |listed| {
        let kids = jose::prune(listed, &file.choice, now());
        let kids = kids
            .map_err(|problems| format!("the key file is left as it was:\n{}", lines(&problems)))?;
        Ok(if kids.is_empty() {
            Edit::Keep(kids)
        } else {
            Edit::Write(kids)
        })
    });
    let kids = pruned.map_err(|error| error.to_string())?;
    if kids.is_empty() {
        out::error("note: no key is past, so the file is left as it was");
    }
    for kid in kids {
        out::line(kid);
    }
    Ok(())
}
