//! How many sessions each client has. All of them come as one user, through one door that lets in only so many: one client
//! must not take the others' place.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
use zam_protocol::{Refused, recv::Client};

/// So many sessions of one client at once: more than the streams that it may have.
const OF_ONE: usize = 12;

/// How many there are.
#[derive(Clone, Debug, Default)]
pub struct Seats(Rc<RefCell<BTreeMap<Client, usize>>>);

/// A session's place; free again when it is dropped.
#[derive(Debug)]
pub struct Seat {
    client: Client,
    seats: Seats,
}

impl Seats {
    /// A place for one more.
    ///
    /// # Errors
    /// If the client has as many as it may.
    pub fn take(&self, client: &Client) -> Result<Seat, Refused> {
        let mut taken = self.0.borrow_mut();
        let count = taken.entry(client.clone()).or_default();
        if *count >= OF_ONE {
            let why = "as many of its sessions as may be are open".to_owned();
            return Err(Refused::Busy { what: client.to_string(), why });
        }
        *count += 1;
        Ok(Seat { client: client.clone(), seats: self.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.borrow_mut();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_takes_no_others_place() {
        let seats = Seats::default();
        let client = |name: &str| Client { name: Some(name.to_owned()), root: "nas/a".parse().unwrap() };
        let mut taken: Vec<Seat> = (0..OF_ONE).map(|_| seats.take(&client("a")).unwrap()).collect();
        assert!(matches!(seats.take(&client("a")), Err(Refused::Busy { .. })));
        let _other = seats.take(&client("b")).unwrap();
        taken.pop();
        taken.push(seats.take(&client("a")).unwrap());
        assert!(seats.take(&client("a")).is_err());
        taken.clear();
        assert_eq!(seats.0.borrow().len(), 1);
    }
}
