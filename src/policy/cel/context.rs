//! Evaluating compiled expressions: one root for the process, one scope per request.

use std::sync::Arc;

use cel::common::types::{CelBool, CelNull};
use cel::common::value::{CowVal, Val};
use cel::context::Context;
use cel::{Env, ExecutionError, IdedExpr};
use serde_json::{Map, Value};

use super::compile::Expr;
use super::guard::{self, Internals, Meter};
use super::{explain, names, value};

/// The functions that expressions use. Built once at start (30 us); a clone shares it.
#[derive(Clone)]
pub struct Root {
    env: Arc<Env>,
    context: Arc<Context<'static, 'static>>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Root")
    }
}

impl Root {
    /// The standard functions, `glob`, and `matches` with patterns compiled beforehand.
    pub fn new() -> Self {
        let mut env = Env::stdlib();
        let declared = guard::declare(&mut env);
        debug_assert!(declared.is_ok(), "the internal names are free");
        let env = Arc::new(env);
        Self {
            context: Arc::new(Context::with_env(Arc::clone(&env))),
            env,
        }
    }

    pub(super) fn env(&self) -> &Env {
        &self.env
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

/// What a condition sees as `client`.
#[derive(Debug, Clone, Copy)]
pub struct ClientView<'a> {
    /// The configured id.
    pub id: &'a str,
    /// The configured name.
    pub name: &'a str,
    /// Whether it proved a secret.
    pub authenticated: bool,
}

/// What a condition sees as `request`.
#[derive(Debug, Clone, Default)]
pub struct RequestView<'a> {
    /// The audiences and resources asked, in order.
    pub audience: Vec<&'a str>,
    /// The scopes asked, in order.
    pub scope: Vec<&'a str>,
    /// `requested_token_type`, the default if none was asked.
    pub requested_token_type: &'a str,
}

/// Whether a condition lets a request pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is true.
    Holds,
    /// It is false, is no boolean or cannot be evaluated: what was seen, never what was expected.
    Fails(String),
}

/// The values that the expressions of one request see; converted once.
pub struct Scope<'a> {
    context: Context<'a, 'a>,
}

impl<'a> Scope<'a> {
    /// A scope over the verified `claims` of a subject token, the connector's id, the client if one
    /// identified itself, and what was asked for.
    pub fn new(
        root: &'a Root,
        claims: &'a Map<String, Value>,
        connector: &'a str,
        client: Option<ClientView<'a>>,
        request: &RequestView<'a>,
    ) -> Self {
        let mut context = root.context.new_inner_scope();
        let client: value::Boxed<'a> = match client {
            Some(client) => value::from_members([
                ("id", value::from_text(client.id)),
                ("name", value::from_text(client.name)),
                (
                    "authenticated",
                    Box::new(CelBool::from(client.authenticated)),
                ),
            ]),
            None => Box::new(CelNull),
        };
        let request = value::from_members([
            ("audience", value::from_texts(&request.audience)),
            ("scope", value::from_texts(&request.scope)),
            (
                "requested_token_type",
                value::from_text(request.requested_token_type),
            ),
        ]);
        context.add_variable_as_val(names::CLAIMS, value::from_object(claims));
        context.add_variable_as_val(names::CONNECTOR, value::from_text(connector));
        context.add_variable_as_val(names::CLIENT, client);
        context.add_variable_as_val(names::REQUEST, request);
        Self { context }
    }

    /// Adds the verified claims of an actor token, for expressions of [`Kind::Actor`](super::Kind::Actor).
    pub fn with_actor(&mut self, actor: &'a Map<String, Value>) {
        self.context
            .add_variable_as_val(names::ACTOR, value::from_object(actor));
    }

    /// Whether the condition is true.
    pub fn holds(&self, condition: &Expr) -> Verdict {
        self.evaluate(condition, |tree, context| {
            if is_true(&evaluate(tree, context)) {
                Verdict::Holds
            } else {
                Verdict::Fails(explain::condition(tree, context))
            }
        })
    }

    /// The value of a computed claim, `None` if it is null; the error says why there is none.
    pub fn compute(&self, claim: &Expr) -> Result<Option<Value>, String> {
        self.evaluate(claim, |tree, context| {
            let result = evaluate(tree, context).map_err(|e| explain::error(&e, tree, context))?;
            match value::to_json(result.as_ref())? {
                Value::Null => Ok(None),
                json => Ok(Some(json)),
            }
        })
    }

    /// Runs `run` in an inner scope with what the compiler put into the expression.
    fn evaluate<R>(
        &self,
        expr: &Expr,
        run: impl for<'e, 'v> FnOnce(&'e IdedExpr, &'e Context<'e, 'v>) -> R,
    ) -> R {
        if !expr.uses_internals() {
            return run(expr.tree(), &self.context);
        }
        let internals = Internals {
            patterns: expr.patterns(),
            meter: Meter::new(),
        };
        let outer: &Context<'_, '_> = &self.context;
        let mut inner = outer.new_inner_scope();
        inner.set_variable_resolver(&internals);
        run(expr.tree(), &inner)
    }
}

/// The value of `tree`.
pub(super) fn evaluate<'e, 'v>(
    tree: &'e IdedExpr,
    context: &'e Context<'_, 'v>,
) -> Result<CowVal<'e, 'v>, ExecutionError> {
    cel::Value::resolve_val(tree, context)
}

/// Whether an outcome is the boolean true.
pub(super) fn is_true(outcome: &Result<CowVal<'_, '_>, ExecutionError>) -> bool {
    let value = outcome.as_ref().ok();
    value.and_then(|value| as_bool(value.as_ref())) == Some(true)
}

/// The boolean that `value` is, if it is one.
pub(super) fn as_bool(value: &dyn Val) -> Option<bool> {
    value.downcast_ref::<CelBool>().map(|b| *b.inner())
}
