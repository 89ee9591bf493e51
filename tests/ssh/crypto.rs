//! Just enough cryptography for a server that misbehaves: X25519, `ChaCha20` and Poly1305 as in the RFCs 7748 and 8439, plain
//! and slow. Only tests use it; that the client under test talks to it proves it right.

// Limbs are cut to bytes on purpose, and the names are those of the formulas.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::many_single_char_names,
    clippy::decimal_bitwise_operands
)]

/// An element of the field modulo 2^255 - 19, in 16 limbs of 16 bits (as in `TweetNaCl`).
type Field = [i64; 16];

fn carry(o: &mut Field) {
    for i in 0..16 {
        o[i] += 1 << 16;
        let c = o[i] >> 16;
        let next = if i < 15 { i + 1 } else { 0 };
        o[next] += c - 1 + if i == 15 { 37 * (c - 1) } else { 0 };
        o[i] -= c << 16;
    }
}

fn swap(p: &mut Field, q: &mut Field, bit: i64) {
    let mask = !(bit - 1);
    for i in 0..16 {
        let t = mask & (p[i] ^ q[i]);
        p[i] ^= t;
        q[i] ^= t;
    }
}

fn pack(n: &Field) -> [u8; 32] {
    let mut t = *n;
    carry(&mut t);
    carry(&mut t);
    carry(&mut t);
    for _ in 0..2 {
        let mut m = [0; 16];
        m[0] = t[0] - 0xffed;
        for i in 1..15 {
            m[i] = t[i] - 0xffff - ((m[i - 1] >> 16) & 1);
            m[i - 1] &= 0xffff;
        }
        m[15] = t[15] - 0x7fff - ((m[14] >> 16) & 1);
        let borrowed = (m[15] >> 16) & 1;
        m[14] &= 0xffff;
        swap(&mut t, &mut m, 1 - borrowed);
    }
    std::array::from_fn(|i| (t[i / 2] >> (8 * (i % 2))) as u8)
}

fn add(a: &Field, b: &Field) -> Field {
    std::array::from_fn(|i| a[i] + b[i])
}

fn sub(a: &Field, b: &Field) -> Field {
    std::array::from_fn(|i| a[i] - b[i])
}

fn mul(a: &Field, b: &Field) -> Field {
    let mut t = [0_i64; 31];
    for i in 0..16 {
        for j in 0..16 {
            t[i + j] += a[i] * b[j];
        }
    }
    for i in 0..15 {
        t[i] += 38 * t[i + 16];
    }
    let mut o = std::array::from_fn(|i| t[i]);
    carry(&mut o);
    carry(&mut o);
    o
}

fn invert(a: &Field) -> Field {
    let mut c = *a;
    for i in (0..254).rev() {
        c = mul(&c, &c);
        if i != 2 && i != 4 {
            c = mul(&c, a);
        }
    }
    c
}

/// The product of a scalar and a point.
pub fn x25519(scalar: &[u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let mut z = *scalar;
    z[31] = (z[31] & 127) | 64;
    z[0] &= 248;
    let mut x: Field = std::array::from_fn(|i| i64::from(point[2 * i]) + (i64::from(point[2 * i + 1]) << 8));
    x[15] &= 0x7fff;
    let mut a: Field = [0; 16];
    let mut b = x;
    let mut c: Field = [0; 16];
    let mut d: Field = [0; 16];
    a[0] = 1;
    d[0] = 1;
    let mut k: Field = [0; 16];
    (k[0], k[1]) = (0xdb41, 1);
    for i in (0..=254).rev() {
        let r = i64::from((z[i >> 3] >> (i & 7)) & 1);
        swap(&mut a, &mut b, r);
        swap(&mut c, &mut d, r);
        let mut e = add(&a, &c);
        a = sub(&a, &c);
        c = add(&b, &d);
        b = sub(&b, &d);
        d = mul(&e, &e);
        let f = mul(&a, &a);
        a = mul(&c, &a);
        c = mul(&b, &e);
        e = add(&a, &c);
        a = sub(&a, &c);
        b = mul(&a, &a);
        c = sub(&d, &f);
        a = mul(&c, &k);
        a = add(&a, &d);
        c = mul(&c, &a);
        a = mul(&d, &f);
        d = mul(&b, &x);
        b = mul(&e, &e);
        swap(&mut a, &mut b, r);
        swap(&mut c, &mut d, r);
    }
    pack(&mul(&a, &invert(&c)))
}

/// A block of key stream, with the 64-bit counter and nonce of the original cipher, which OpenSSH uses.
fn block(key: &[u8; 32], counter: u64, nonce: u64) -> [u8; 64] {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut s = [0_u32; 16];
    for (i, bytes) in b"expand 32-byte k".chunks(4).enumerate() {
        s[i] = word(bytes);
    }
    for (i, bytes) in key.chunks(4).enumerate() {
        s[4 + i] = word(bytes);
    }
    (s[12], s[13]) = (counter as u32, (counter >> 32) as u32);
    // The nonce is the sequence number in network order.
    let nonce = nonce.to_be_bytes();
    (s[14], s[15]) = (word(&nonce[..4]), word(&nonce[4..]));
    let mut x = s;
    let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
        for (to, from, by, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            x[to] = x[to].wrapping_add(x[from]);
            x[by] = (x[by] ^ x[to]).rotate_left(turn);
        }
    };
    for _ in 0..10 {
        for (a, b, c, d) in [
            (0, 4, 8, 12),
            (1, 5, 9, 13),
            (2, 6, 10, 14),
            (3, 7, 11, 15),
            (0, 5, 10, 15),
            (1, 6, 11, 12),
            (2, 7, 8, 13),
            (3, 4, 9, 14),
        ] {
            quarter(a, b, c, d);
        }
    }
    let mut out = [0; 64];
    for i in 0..16 {
        out[4 * i..4 * i + 4].copy_from_slice(&x[i].wrapping_add(s[i]).to_le_bytes());
    }
    out
}

/// Encrypts, or decrypts, in place, from this block on.
pub fn chacha20(key: &[u8; 32], counter: u64, nonce: u64, data: &mut [u8]) {
    for (i, part) in data.chunks_mut(64).enumerate() {
        for (byte, mask) in part.iter_mut().zip(block(key, counter + i as u64, nonce)) {
            *byte ^= mask;
        }
    }
}

/// The authentication of a message, by a key of its own: 17 limbs of 8 bits.
pub fn poly1305(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    const MINUS_P: [u32; 17] = [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 252];
    fn add(h: &mut [u32; 17], c: &[u32; 17]) {
        let mut u = 0;
        for i in 0..17 {
            u += h[i] + c[i];
            h[i] = u & 255;
            u >>= 8;
        }
    }
    let mut r = [0_u32; 17];
    for i in 0..16 {
        r[i] = u32::from(key[i]);
    }
    for i in [3, 7, 11, 15] {
        r[i] &= 15;
    }
    for i in [4, 8, 12] {
        r[i] &= 252;
    }
    let mut h = [0_u32; 17];
    for part in message.chunks(16) {
        let mut c = [0; 17];
        for (i, byte) in part.iter().enumerate() {
            c[i] = u32::from(*byte);
        }
        c[part.len()] = 1;
        add(&mut h, &c);
        let mut x = [0_u32; 17];
        for (i, x) in x.iter_mut().enumerate() {
            for j in 0..17 {
                *x += h[j] * if j <= i { r[i - j] } else { 320 * r[i + 17 - j] };
            }
        }
        let mut u = 0;
        for i in 0..16 {
            u += x[i];
            h[i] = u & 255;
            u >>= 8;
        }
        u += x[16];
        h[16] = u & 3;
        u = 5 * (u >> 2);
        for limb in h.iter_mut().take(16) {
            u += *limb;
            *limb = u & 255;
            u >>= 8;
        }
        h[16] += u;
    }
    let before = h;
    add(&mut h, &MINUS_P);
    let negative = (h[16] >> 7).wrapping_neg();
    for i in 0..17 {
        h[i] ^= negative & (before[i] ^ h[i]);
    }
    let mut c = [0; 17];
    for i in 0..16 {
        c[i] = u32::from(key[i + 16]);
    }
    add(&mut h, &c);
    std::array::from_fn(|i| h[i] as u8)
}
