use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::AesKey;
use super::take;

const BLOCK: usize = 16;

/// Encrypts `data` in place with AES-256 in IGE mode; bytes after the last whole block stay
/// unchanged.
pub(crate) fn encrypt_ige(data: &mut [u8], key: &AesKey) {
    let cipher = Aes256::new(&Array(key.key));
    let (before, after) = (take(&key.iv, 0), take(&key.iv, BLOCK));
    chain(data, before, after, |block| cipher.encrypt_block(block));
}

/// Reverses [`encrypt_ige`].
pub(crate) fn decrypt_ige(data: &mut [u8], key: &AesKey) {
    let cipher = Aes256::new(&Array(key.key));
    let (before, after) = (take(&key.iv, BLOCK), take(&key.iv, 0));
    chain(data, before, after, |block| cipher.decrypt_block(block));
}

/// Each block is xored with the last output before the cipher and with the last input after it.
fn chain(
    data: &mut [u8],
    mut before: [u8; BLOCK],
    mut after: [u8; BLOCK],
    crypt: impl Fn(&mut Array<u8, aes::cipher::consts::U16>),
) {
    for chunk in data.chunks_exact_mut(BLOCK) {
        let input: [u8; BLOCK] = take(chunk, 0);
        let mut block = Array(xor(input, before));
        crypt(&mut block);
        let output = xor(block.0, after);
        chunk.copy_from_slice(&output);
        (before, after) = (output, input);
    }
}

fn xor(mut a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_is_decrypted() {
        let key = AesKey { key: [7; 32], iv: std::array::from_fn(|i| u8::try_from(i).unwrap()) };
        let plain: Vec<u8> = (0..=255).collect();
        let mut data = plain.clone();
        encrypt_ige(&mut data, &key);
        assert_ne!(data, plain);
        decrypt_ige(&mut data, &key);
        assert_eq!(data, plain);
    }
}
