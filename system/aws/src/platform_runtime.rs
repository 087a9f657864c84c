//! The SDK's clock, sleep and ids, taken from Platform.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use aws_runtime::invocation_id::{InvocationId, InvocationIdGenerator};
use aws_smithy_async::{
    rt::sleep::{AsyncSleep, Sleep},
    time::TimeSource,
};
use aws_smithy_runtime_api::box_error::BoxError;
use nexus_ports::{BoxFuture, Platform};

/// The platform's timer as the SDK's sleep.
#[derive(Clone)]
pub struct PlatformSleep(pub Platform);

impl AsyncSleep for PlatformSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(SharedFuture(Mutex::new(self.0.sleep(duration))))
    }
}

/// The SDK wants its sleep to be `Sync`. Polling takes the future exclusively, so the lock is never waited for.
struct SharedFuture(Mutex<BoxFuture<'static, ()>>);

impl Future for SharedFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context)
    }
}

impl fmt::Debug for PlatformSleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformSleep")
    }
}

/// The platform's wall clock as the SDK's time source: it dates signatures and judges whether credentials expired.
#[derive(Clone)]
pub struct PlatformTime(pub Platform);

impl TimeSource for PlatformTime {
    fn now(&self) -> SystemTime {
        self.0.unix_time().as_system_time()
    }
}

impl fmt::Debug for PlatformTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformTime")
    }
}

/// `amz-sdk-invocation-id` from the platform's entropy.
#[derive(Clone)]
pub struct PlatformInvocationIds(pub Platform);

impl InvocationIdGenerator for PlatformInvocationIds {
    fn generate(&self) -> Result<Option<InvocationId>, BoxError> {
        let mut bytes = [0; 16];
        self.0.entropy.fill("aws-invocation-id", "", &mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Ok(Some(InvocationId::new(id.to_string())))
    }
}

impl fmt::Debug for PlatformInvocationIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformInvocationIds")
    }
}
