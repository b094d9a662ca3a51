//! R-DOOR-5: clients that break the rules: their connection ends, and the daemon goes on.

use crate::house::{Raw, frame, hello, job, odd_job, open, serves_others, strangers};
use pretty_assertions::assert_eq;
use std::time::Duration;
use zam_protocol::{
    Door, Role,
    codec::REQUEST_BOUND,
    preface::{PATIENCE, Preface},
};

#[tokio::test]
async fn garbage_ends_its_connection_alone() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let mut noise = Raw::connect(socket).await;
        noise.write(b"GET / HTTP/1.1\r\nHost: zam\r\n\r\n").await;
        assert!(noise.is_closed().await);
        for n in 0..32_u32 {
            let mut noise = Raw::greet(socket).await;
            let bytes: Vec<u8> = (1..200_u32).map(|i| (i.wrapping_mul(2_654_435_761 + n) >> 13) as u8).collect();
            noise.write(&frame(&[&[9], &bytes[..]].concat())).await;
            assert!(noise.is_closed().await);
        }
        serves_others(socket).await;
    })
    .await;
}

#[tokio::test]
async fn another_version_or_service_gets_the_preface_and_the_door() {
    open(Door::Status, strangers(), async |socket, _, _| {
        for other in [Preface { major: 2, ..Preface::of(Role::Snap) }, Preface::of(Role::Prune)] {
            let mut client = Raw::connect(socket).await;
            client.write(&other.to_bytes()).await;
            assert!(client.is_closed().await);
        }
        serves_others(socket).await;
    })
    .await;
}

#[tokio::test]
async fn silence_before_the_greeting_ends_after_a_second_and_half_a_frame_disturbs_nobody() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let mut half = Raw::greet(socket).await;
        half.write(&hello(1, &[10])[..5]).await;
        let mut silent = Raw::connect(socket).await;
        serves_others(socket).await;
        tokio::time::sleep(PATIENCE + Duration::from_millis(300)).await;
        assert!(tokio::time::timeout(Duration::from_millis(200), silent.is_closed()).await.unwrap());
        // The other half comes late, and is answered.
        half.write(&hello(1, &[250])[5..]).await;
        assert_eq!(half.frame().await[..2], [1, 0]);
    })
    .await;
}

#[tokio::test]
async fn oversized_frames_are_refused_at_their_header() {
    open(Door::Status, strangers(), async |socket, _, _| {
        for claimed in [u32::MAX, u32::try_from(REQUEST_BOUND).unwrap() + 1] {
            let mut client = Raw::greet(socket).await;
            client.write(&claimed.to_be_bytes()).await;
            assert!(client.is_closed().await, "{claimed}");
        }
        serves_others(socket).await;
    })
    .await;
}

#[tokio::test]
async fn no_deadline_harms_the_daemon() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let mut client = Raw::greet(socket).await;
        // u32::MAX ms is clamped, and answered.
        client.write(&hello(7, &[252, 255, 255, 255, 255])).await;
        assert_eq!(client.frame().await[..2], [7, 0]);
        // None at all is a millisecond: answered or not, never more than that.
        client.write(&hello(8, &[0])).await;
        for too_long in [796 * 86_400_000_u64, u64::MAX] {
            let mut client = Raw::greet(socket).await;
            client.write(&hello(1, &[&[253], &too_long.to_le_bytes()[..]].concat())).await;
            assert!(client.is_closed().await, "{too_long}");
        }
        serves_others(socket).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection() {
    open(Door::Status, strangers(), async |socket, seen, _| {
        let unknown_method = frame(&[0, 1, 10, 200]);
        let trailing_bytes = frame(&[0, 1, 10, 0, 0]);
        let long_name = frame(&[&[0, 1, 10, 1, 1, 253][..], &(1_u64 << 40).to_le_bytes()].concat());
        let empty = frame(&[]);
        for bad in [unknown_method, trailing_bytes, long_name, empty] {
            let mut client = Raw::greet(socket).await;
            client.write(&bad).await;
            assert!(client.is_closed().await, "{bad:?}");
            serves_others(socket).await;
        }
        assert!(seen.refused.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn calls_beyond_the_cap_fail_at_once_and_the_connection_lives() {
    open(Door::Status, strangers(), async |socket, seen, _| {
        let mut client = Raw::greet(socket).await;
        for id in 0..20 {
            client.write(&job(id, odd_job::ENDLESS)).await;
        }
        // The status door lets 8 be in flight.
        for id in 8..20 {
            let answer = client.frame().await;
            assert_eq!(answer[..3], [id, 1, 2], "too many requests");
        }
        assert_eq!(seen.long_calls.get(), (8, 0));
        // Cancelling one makes room: for the next but one, since tarpc counts before it reads on.
        client.write(&[frame(&[1, 3]), hello(30, &[250]), hello(31, &[250])].concat()).await;
        assert_eq!(client.frame().await[0], 30);
        assert_eq!(client.frame().await[..2], [31, 0]);
    })
    .await;
}

#[tokio::test]
async fn the_same_id_twice_is_answered_once() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let mut client = Raw::greet(socket).await;
        client.write(&[job(1, odd_job::LONG), hello(1, &[250]), hello(2, &[250])].concat()).await;
        assert_eq!(client.frame().await[0], 2);
        assert_eq!(client.frame().await[..4], [1, 0, 3, 0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_nothing_for_ten_minutes_makes_room() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let mut idle = Raw::greet(socket).await;
        let mut busy = Raw::greet(socket).await;
        for id in 1..3 {
            tokio::time::sleep(Duration::from_secs(400)).await;
            busy.write(&hello(id, &[250])).await;
            assert_eq!(busy.frame().await[0], id);
        }
        assert!(idle.is_closed().await);
        assert!(!busy.is_closed().await);
    })
    .await;
}
