//! The literal patterns of `matches` and `glob`, compiled once.

use std::error::Error;
use std::sync::Mutex;

use cel::ExecutionError;
use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{
    BuildError, Compiler, Config as NfaConfig, NFA, WhichCaptures,
};
use regex_automata::util::syntax::Config as Syntax;

use super::compile::CompileError;
use super::glob;
use super::meter::{Meter, count};

/// Bytes that a compiled pattern of `matches` may take.
const SIZE: usize = 1024 * 1024;
/// Bytes that the states of an automaton may take, which are built as values need them. Building them is what an
/// unlucky value makes expensive, so this bounds it.
const STATES: usize = 256 * 1024;
/// What building a byte of them costs.
const STATE_BYTE: u64 = 1;
/// What it costs to step one of the pattern's positions over a byte of the value, where the automaton gave up.
const POSITION: u64 = 2;
/// Bytes of the longest value that is matched.
const LONGEST_VALUE: usize = 64 * 1024;

/// A compiled pattern.
///
/// The crate `regex` hides which of its engines searches, and one of them takes a thousand times as long as another.
/// Here the fast one searches, and where it gives up the slow one is paid for beforehand.
#[derive(Debug)]
pub(super) struct Pattern {
    /// `matches` or `glob`.
    function: &'static str,
    /// Of `glob`: what every matching value begins with.
    prefix: Option<String>,
    fast: DFA,
    slow: PikeVM,
    /// Caches of `fast` that no search is using.
    caches: Mutex<Vec<Cache>>,
}

impl Pattern {
    /// Compiles the literal of a call of `function`, which is `matches` or `glob`.
    pub(super) fn new(function: &str, literal: &str) -> Result<Self, CompileError> {
        if function == "glob" {
            // Every text is one, and its bytes bound it. It looks at bytes, since `/` and `:` are one byte each.
            let syntax = Syntax::new().utf8(false);
            let nfa = compile(&glob::to_regex(literal), syntax, None);
            let prefix = Some(glob::prefix(literal).to_owned());
            return nfa
                .and_then(|nfa| Self::build("glob", prefix, nfa))
                .map_err(|e| CompileError::new(error(function, literal, &*e)));
        }
        compile(literal, Syntax::new(), Some(SIZE))
            .and_then(|nfa| Self::build("matches", None, nfa))
            .map_err(|e| CompileError::new(error(function, literal, &*e)))
    }

    fn build(
        function: &'static str,
        prefix: Option<String>,
        nfa: NFA,
    ) -> Result<Self, Box<dyn Error>> {
        let config = Config::new()
            .cache_capacity(STATES)
            .skip_cache_capacity_check(true)
            .unicode_word_boundary(true)
            .minimum_cache_clear_count(Some(0));
        Ok(Self {
            function,
            prefix,
            fast: DFA::builder()
                .configure(config)
                .build_from_nfa(nfa.clone())?,
            slow: PikeVM::new_from_nfa(nfa)?,
            caches: Mutex::default(),
        })
    }

    /// The function that the pattern was written for.
    pub(super) fn function(&self) -> &'static str {
        self.function
    }

    /// What every matching value begins with, of a pattern of `glob`.
    pub(super) fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Whether `value` matches, charged to `meter`; an error if it is too long, or too much work.
    pub(super) fn is_match(&self, value: &str, meter: &Meter) -> Result<bool, ExecutionError> {
        if value.len() > LONGEST_VALUE {
            return Err(ExecutionError::function_error(
                self.function,
                "the value is too long",
            ));
        }
        meter.charge(|| 1 + count(value.len()) / 2)?;
        let free = self.caches.lock().ok().and_then(|mut free| free.pop());
        let mut cache = free.unwrap_or_else(|| self.fast.create_cache());
        if cache.memory_usage() > STATES / 2 {
            cache.reset(&self.fast);
        }
        let before = cache.memory_usage();
        let input = Input::new(value).earliest(true);
        let found = self.fast.try_search_fwd(&mut cache, &input);
        let built = count(cache.memory_usage().saturating_sub(before));
        if let Ok(mut free) = self.caches.lock() {
            free.push(cache);
        }
        meter.charge(|| built.saturating_mul(STATE_BYTE))?;
        match found {
            Ok(end) => Ok(end.is_some()),
            // Its states did not fit, or a word boundary stands beside a character that is not ASCII.
            Err(_) => self.is_slow_match(value, meter),
        }
    }

    fn is_slow_match(&self, value: &str, meter: &Meter) -> Result<bool, ExecutionError> {
        meter.charge(|| {
            let positions = count(self.slow.get_nfa().states().len());
            let steps = positions.saturating_mul(count(value.len()).saturating_add(1));
            steps.saturating_mul(POSITION)
        })?;
        Ok(self.slow.is_match(&mut self.slow.create_cache(), value))
    }
}

fn compile(regex: &str, syntax: Syntax, limit: Option<usize>) -> Result<NFA, Box<dyn Error>> {
    let config = NfaConfig::new()
        .which_captures(WhichCaptures::Implicit)
        .nfa_size_limit(limit);
    let nfa = Compiler::new()
        .syntax(syntax)
        .configure(config)
        .build(regex)?;
    Ok(nfa)
}

fn error(function: &str, literal: &str, error: &(dyn Error + 'static)) -> String {
    let literal = crate::oauth::cut(literal);
    if error
        .downcast_ref::<BuildError>()
        .is_some_and(|error| error.size_limit().is_some())
    {
        return format!(
            "the pattern '{literal}' of {function} is too large: use smaller repetitions, or glob"
        );
    }
    let text = error.source().unwrap_or(error).to_string();
    let why = text.lines().last().unwrap_or_default();
    format!(
        "the pattern '{literal}' of {function} is no regular expression ({why}): correct it, or use glob"
    )
}
