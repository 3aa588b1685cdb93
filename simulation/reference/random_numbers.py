"""Counter-based random numbers in plain Python integers (compare `spirals.simulation.randomness`)."""

import hashlib

__all__ = ["philox", "stream_key", "tie", "uniforms"]

WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF


def stream_key(seed: int, purpose: str, branch: int = 0) -> int:
    """Return the 64-bit key of a stream: a digest of seed, purpose and branch."""
    return int.from_bytes(hashlib.blake2b(f"{seed}|{purpose}|{branch}".encode(), digest_size=8).digest(), "little")


def philox(key: int, step: int, actor: int, block: int) -> tuple[int, int, int, int]:
    """Return four random words of 32 bits: Philox-4x32-10 (Salmon et al. 2011).

    Counter: low half of the step, actor, block, high half of the step; key: low and high half of `key`.
    """
    counter = (step & WORD, actor & WORD, block & WORD, step >> 32)
    low, high = key & WORD, key >> 32
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = (
            (second >> 32) ^ counter[1] ^ low, second & WORD, (first >> 32) ^ counter[3] ^ high, first & WORD,
        )
        low, high = (low + 0x9E3779B9) & WORD, (high + 0xBB67AE85) & WORD
    return counter


def uniforms(key: int, step: int, actor: int, block: int = 0) -> tuple[float, float]:
    """Return two independent uniforms in (0, 1): the midpoints of 2^52 equal cells."""
    words = philox(key, step, actor, block)
    first, second = (words[0] << 32 | words[1]) >> 12, (words[2] << 32 | words[3]) >> 12
    return (first + 0.5) / 2**52, (second + 0.5) / 2**52


def tie(key: int, step: int, account: int) -> int:
    """Return a 32-bit hash that decides between orders that arrive together (finaliser of SplitMix64)."""
    z = key ^ (step * 0x9E3779B97F4A7C15 & LONG) ^ (account * 0xD6E8FEB86659FD93 & LONG)
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & LONG
    z = (z ^ z >> 27) * 0x94D049BB133111EB & LONG
    return (z ^ z >> 31) & WORD
