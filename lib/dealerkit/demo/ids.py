"""Valid Chinese identifiers for many rows at once; unique by index, without looking anything up.

Uniqueness comes from an affine permutation of the index, so that blocks made apart never meet.
"""

from __future__ import annotations

import numpy as np

#: Prefixes that no operator has been given, so that no made-up number rings at anybody's.
MOBILE_PREFIXES = np.array([154, 160, 161, 163, 164, 168, 169])
#: Counties whose code has never changed, so that it fits any birth year.
COUNTIES = np.array([330122, 330127, 340121, 340221, 340421, 340621, 340721, 350121, 360121, 360122])
#: Counties of the second-born of twins, who share the birth date: none of `COUNTIES`, so that no number repeats.
TWIN_COUNTIES = np.array([430121, 430122, 430221, 430321, 510121, 510321, 210122, 210224, 210321, 620121])
PLATE_PROVINCE = "浙"
PLATE_CITIES = "BALFDJ"
SERIAL = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
USCC_CHARS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
VIN_VALUES = {
    **{str(d): d for d in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9))),
    **dict(zip("JKLMN", range(1, 6))),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10))),
}
VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
YEAR_CHARS = "ABCDEFGHJKLMNPRSTVWXY123456789"
#: Maker's code of the invented brand.
WMI = "L0X"


def scatter(index, size: int, prime: int, shift: int) -> np.ndarray:
    """A permutation of 0…size−1 (prime must not divide size), so that neighbours look unrelated."""
    return (np.asarray(index, dtype=np.int64) % size * prime + shift) % size


def mobiles(index, shift: int) -> np.ndarray:
    """Eleven digits each, different for different indexes."""
    p = scatter(index, len(MOBILE_PREFIXES) * 10**8, 15_485_863, shift)
    return np.array((MOBILE_PREFIXES[p // 10**8] * 10**8 + p % 10**8).astype(str), dtype=object)


def birth_day(index, day, shift: int):
    """(birth day as days since 1970, slot) near ``day`` such that `resident_ids` never repeats."""
    p = scatter(index, len(COUNTIES) * 500 * 1024, 32_452_843, shift)
    day = np.asarray(day, dtype=np.int64)
    return day - day % 1024 + p % 1024, p // 1024


def resident_ids(day, slot, female, counties: np.ndarray = COUNTIES) -> np.ndarray:
    """Resident ID numbers of GB 11643: region, birth date, order (odd = male), check digit."""
    date = np.asarray(day, dtype="datetime64[D]")
    months = date.astype("datetime64[M]").astype(int)
    ymd = (
        (months // 12 + 1970) * 10_000 + (months % 12 + 1) * 100 + (date - date.astype("datetime64[M]")).astype(int) + 1
    )
    order = slot // len(counties) * 2 + np.where(female, 0, 1)
    body = counties[slot % len(counties)].astype(np.int64) * 10**11 + ymd * 1000 + order
    total = sum(body // 10 ** (16 - i) % 10 * (2 ** (17 - i) % 11) for i in range(17))
    check = np.array(list("10X98765432"))[total % 11]
    return np.array([f"{b}{c}" for b, c in zip(body.tolist(), check.tolist())], dtype=object)


def usccs(index, shift: int) -> np.ndarray:
    """Unified social credit codes of GB 32100 with both check characters (organisation code and whole)."""
    out = []
    for p in scatter(index, 10**8, 49_979_687, shift).tolist():
        organisation = f"{p:08d}"
        c = 11 - sum(int(d) * w for d, w in zip(organisation, (3, 7, 9, 10, 5, 8, 4, 2))) % 11
        body = f"91{COUNTIES[p % len(COUNTIES)]}{organisation}{'X' if c == 10 else c % 11}"
        total = sum(USCC_CHARS.index(ch) * 3**i % 31 for i, ch in enumerate(body))
        out.append(body + USCC_CHARS[(31 - total % 31) % 31])
    return np.array(out, dtype=object)


def vins(index, vds, year, shift: int) -> np.ndarray:
    """VINs with the check digit at position 9 and the model year at position 10."""
    p = scatter(index, 10**7, 67_867_967, shift)
    plant = np.array(list("ABCDEFGHJK"))[p // 10**6]
    year_char = np.array(list(YEAR_CHARS))[(np.asarray(year) - 2010) % 30]
    serial = p % 10**6
    values = np.vectorize(VIN_VALUES.get, otypes=[np.int64])
    weights = dict(zip(range(17), VIN_WEIGHTS))
    heads = {v: sum(VIN_VALUES[c] * weights[i] for i, c in enumerate(WMI + v)) for v in set(vds.tolist())}
    total = np.array([heads[v] for v in vds.tolist()], dtype=np.int64) + values(year_char) * 9 + values(plant) * 8
    total = total + sum(serial // 10 ** (5 - i) % 10 * weights[11 + i] for i in range(6))
    check = np.array(list("0123456789X"))[total % 11]
    parts = zip(vds.tolist(), check.tolist(), year_char.tolist(), plant.tolist(), serial.tolist())
    return np.array([f"{WMI}{v}{c}{y}{a}{s:06d}" for v, c, y, a, s in parts], dtype=object)


def wrong_check_digit(vin: str) -> str:
    """The VIN with another check digit."""
    digits = "0123456789X"
    return vin[:8] + digits[(digits.index(vin[8]) + 3) % 11] + vin[9:]


def plates(index, energy, shift: int) -> np.ndarray:
    """Blue plates for petrol cars and hybrids, green ones for phev (F…) and bev (D…), then further letters."""
    index = np.asarray(index, dtype=np.int64)
    blue = scatter(index, 34 * 34 * 1000 * len(PLATE_CITIES), 15_485_863, shift)
    round_size = 34 * 10_000 * len(PLATE_CITIES)
    green = scatter(index, round_size, 15_485_863, shift)
    out = []
    for i, e, b, g in zip(index.tolist(), energy.tolist(), blue.tolist(), green.tolist()):
        if e in ("phev", "bev"):
            first = ("DABCE" if e == "bev" else "FGHJK")[i // round_size % 5]
            city, rest = PLATE_CITIES[g // 340_000], g % 340_000
            out.append(f"{PLATE_PROVINCE}{city}{first}{SERIAL[rest // 10_000]}{rest % 10_000:04d}")
        else:
            city, rest = PLATE_CITIES[b // 1_156_000], b % 1_156_000
            out.append(f"{PLATE_PROVINCE}{city}{SERIAL[rest // 34_000]}{SERIAL[rest // 1000 % 34]}{rest % 1000:03d}")
    return np.array(out, dtype=object)
