//! Things that several slots use one at a time: work folders, indexes.
//!
//! Invariant: an item has one user at a time, and there are never more items than users allowed at once.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Cell, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

type Items<T> = Vec<Arc<Cell<T>>>;

/// A bounded pool whose items are made on demand, each with a number.
pub(crate) struct Pool<T> {
    items: Mutex<Items<T>>,
    permits: Arc<Semaphore>,
    made: AtomicUsize,
    make: Box<dyn Fn(usize) -> T + Send + Sync>,
}

impl<T> Pool<T> {
    pub(crate) fn new(
        limit: usize,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            items: Mutex::default(),
            permits: Arc::new(Semaphore::new(limit.max(1))),
            made: AtomicUsize::new(0),
            make: Box::new(make),
        })
    }

    fn items(&self) -> MutexGuard<'_, Items<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free item, waiting for one if all are in use; one that `fits`, if there is one.
    pub(crate) async fn take(self: &Arc<Self>, fits: impl Fn(&T) -> bool) -> Pooled<T> {
        // The semaphore is never closed; without a permit the bound alone would be lost.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let mut items = self.items();
        let mut free = None;
        for item in items.iter() {
            if let Ok(guard) = Arc::clone(item).try_lock_owned() {
                if fits(&guard) {
                    free = Some((guard, Arc::clone(item)));
                    break;
                }
                free = free.or(Some((guard, Arc::clone(item))));
            }
        }
        let (guard, item) = match free {
            Some(free) => free,
            None => loop {
                let made = (self.make)(self.made.fetch_add(1, Ordering::Relaxed));
                let item = Arc::new(Cell::new(made));
                if let Ok(guard) = Arc::clone(&item).try_lock_owned() {
                    items.push(Arc::clone(&item));
                    break (guard, item);
                }
            },
        };
        drop(items);
        Pooled {
            guard,
            item,
            pool: Arc::clone(self),
            _permit: permit,
        }
    }
}

/// An item in use; dropping it gives it back.
pub(crate) struct Pooled<T> {
    guard: OwnedMutexGuard<T>,
    item: Arc<Cell<T>>,
    pool: Arc<Pool<T>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<T> Pooled<T> {
    /// Takes the item out of the pool for good: something may still be using it.
    pub(crate) fn retire(&self) {
        self.pool
            .items()
            .retain(|item| !Arc::ptr_eq(item, &self.item));
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn items_are_exclusive_reused_and_bounded() {
        let pool = Pool::new(2, |n| n);
        let a = pool.take(|_| true).await;
        let b = pool.take(|_| true).await;
        assert_eq!((*a, *b), (0, 1));
        let third = tokio::time::timeout(Duration::from_millis(20), pool.take(|_| true)).await;
        assert!(third.is_err());
        drop(a);
        assert_eq!(*pool.take(|_| true).await, 0);
        drop(b);
        assert_eq!(*pool.take(|n| *n == 1).await, 1);
    }

    #[tokio::test]
    async fn a_retired_item_never_comes_back() {
        let pool = Pool::new(1, |n| n);
        let item = pool.take(|_| true).await;
        item.retire();
        drop(item);
        assert_eq!(*pool.take(|_| true).await, 1);
    }
}
