//! Work that goes on when nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle as Runtime;

use crate::BoxFuture;

/// A future that is finished in the background when it is dropped half-way.
///
/// A caller that hangs up does not end what its request does inside the instance: a handler can't be taken
/// back. The slot is returned when the instance is done with it, so that the next request finds it really free.
pub(crate) struct Finish<T: Send + 'static> {
    future: Option<BoxFuture<'static, T>>,
    runtime: Runtime,
}

impl<T: Send + 'static> Finish<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static, runtime: &Runtime) -> Self {
        Self { future: Some(Box::pin(future)), runtime: runtime.clone() }
    }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let output = ready!(future.as_mut().poll(context));
        self.future = None;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.runtime.spawn(async move { drop(future.await) });
        }
    }
}
