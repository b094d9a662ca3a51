//! What stands between a request and the service: the permission table, and a net for panics.

use super::{Refusal, Visit};
use futures::FutureExt;
use std::{io, panic::AssertUnwindSafe};
use tarpc::{ServerError, context::Context, server::Serve};
use zam_protocol::{Ask, Refused, may};

/// Serves what the peer may ask, and refuses the rest.
pub(super) struct Gate<S> {
    visit: Visit,
    service: S,
}

impl<S> Gate<S> {
    pub(super) fn new(visit: Visit, service: S) -> Self {
        Self { visit, service }
    }
}

impl<S> Serve for Gate<S>
where
    S: Serve,
    S::Req: Ask<Answer = S::Resp>,
{
    type Req = S::Req;
    type Resp = S::Resp;

    async fn serve(self, context: Context, request: S::Req) -> Result<S::Resp, ServerError> {
        let Self { visit, service } = self;
        if !may(visit.hall.door, visit.class, request.need()) {
            return refuse(&visit, &request);
        }
        let name = request.method().to_owned();
        match AssertUnwindSafe(service.serve(context, request)).catch_unwind().await {
            Ok(answer) => answer,
            // The client would wait until its time is up.
            Err(_) => {
                visit.log(&format!("a bug ended its call `{name}`; the panic stands above"));
                Err(ServerError::new(io::ErrorKind::Other, format!("a bug ended `{name}`; the journal has more")))
            }
        }
    }
}

fn refuse<Q: Ask>(visit: &Visit, request: &Q) -> Result<Q::Answer, ServerError> {
    let answer = Refused::NotPermitted {
        request: request.method().to_owned(),
        role: Q::ROLE,
        door: visit.hall.door,
        uid: visit.peer.uid,
        need: request.need(),
    };
    let untold = visit.hall.quiet.borrow_mut().may_tell(visit.peer.uid);
    if let Some(untold) = untold {
        (visit.hall.tell)(&Refusal { peer: visit.peer, answer: answer.clone(), untold });
    }
    let text = answer.to_string();
    request.refused(answer).ok_or_else(|| ServerError::new(io::ErrorKind::PermissionDenied, text))
}
