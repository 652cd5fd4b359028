//! What each step of a decision said.
//!
//! A request stops at the first refusal. `explain` goes on past it, so that one run shows everything
//! that is wrong; both walk the same steps.

use crate::jose::Presumption;
use crate::oauth::Refusal;

/// One step's outcome, for `explain`.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which step it was, such as `allow[0]`.
    pub step: String,
    /// What it says.
    pub text: String,
    /// Whether the step refused.
    pub refused: bool,
    /// Whether an earlier step had refused, so that this is only what it would say.
    pub hypothetical: bool,
}

/// The verdicts of one decision.
#[derive(Debug, Default)]
pub struct Verdicts {
    report: Option<Vec<Line>>,
    first: Option<Refusal>,
}

impl Verdicts {
    /// For a request: the first refusal ends the decision.
    pub fn stop_at_first() -> Self {
        Self::default()
    }

    /// For `explain`: every step is written down, also after a refusal.
    pub fn explain() -> Self {
        Self {
            report: Some(Vec::new()),
            first: None,
        }
    }

    /// The leave to go on with an unverified token: for `explain`, once a step has refused.
    pub fn presumption(&self) -> Option<Presumption> {
        (self.report.is_some() && self.first.is_some()).then(Presumption::to_explain)
    }

    /// Takes a step's result: its value, or nothing where it refused and the decision goes on.
    ///
    /// `text` words a success; it is not called for a request.
    pub fn settle<T>(
        &mut self,
        step: &str,
        result: Result<T, Refusal>,
        text: impl FnOnce(&T) -> String,
    ) -> Result<Option<T>, Refusal> {
        let hypothetical = self.first.is_some();
        let Some(report) = &mut self.report else {
            return result.map(Some);
        };
        let (said, value) = match result {
            Ok(value) => (text(&value), Ok(value)),
            Err(refusal) => {
                let said = refusal.detail.as_ref().unwrap_or(&refusal.description);
                (said.clone(), Err(refusal))
            }
        };
        report.push(Line {
            step: step.to_owned(),
            text: said,
            refused: value.is_err(),
            hypothetical,
        });
        match value {
            Ok(value) => Ok(Some(value)),
            Err(refusal) => {
                self.first.get_or_insert(refusal);
                Ok(None)
            }
        }
    }

    /// Writes down what neither refuses nor yields; `text` is not called for a request.
    pub fn note(&mut self, step: &str, text: impl FnOnce() -> String) {
        let hypothetical = self.first.is_some();
        if let Some(report) = &mut self.report {
            report.push(Line {
                step: step.to_owned(),
                text: text(),
                refused: false,
                hypothetical,
            });
        }
    }

    /// The first refusal, if any step refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.first.as_ref()
    }

    /// Every line that was written down.
    pub fn into_lines(self) -> Vec<Line> {
        self.report.unwrap_or_default()
    }
}
