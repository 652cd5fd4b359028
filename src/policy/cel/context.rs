//! The functions and the environment that all expressions share.

use std::fmt;
use std::sync::Arc;

use cel::Env;
use cel::context::Context;

use super::guard;

/// The functions that expressions use. Built once at start (30 us); a clone shares it.
#[derive(Clone)]
pub struct Root {
    env: Arc<Env>,
    context: Arc<Context<'static, 'static>>,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

    pub(super) fn context(&self) -> &Context<'static, 'static> {
        &self.context
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}
