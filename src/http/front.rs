//! The ways into an instance: what stays the same while configurations come and go.

use std::sync::Arc;

use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::{Connections, Current, DroppedLines, Lasting, Role, routes};

/// The ways into an instance, which stay the same over all its configurations; clones are the same instance.
#[derive(Clone, Debug)]
pub struct Front {
    /// What is in force.
    pub current: Arc<Current>,
    /// What stays over a reload.
    pub lasting: Arc<Lasting>,
}

impl Front {
    /// What a listener of this role serves.
    pub fn routes_for(&self, role: Role) -> BoxedFilter<(Response,)> {
        routes(Arc::clone(&self.current), role)
    }

    /// Where the accept loops of each role count their connections.
    pub fn connections(&self) -> &Connections {
        &self.lasting.metrics.connections
    }

    /// Makes `/healthz` say that new work should go elsewhere.
    pub fn drain(&self) {
        self.lasting.drain();
    }

    /// Whether new work should go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.lasting.is_draining()
    }

    /// Where lines are counted that the log has no room for.
    pub fn dropped_lines(&self) -> &DroppedLines {
        &self.lasting.metrics.dropped_lines
    }

    /// Logs what was only counted so far, for the end.
    pub fn sum_up(&self) {
        self.lasting.sampled.sum_up();
    }
}
