"""Formats of Chinese identifiers: how each looks, and whether its check digit fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ibis
import ibis.expr.types as ir

# Patterns read as tables.
# fmt: off
MOBILE = r"^1[3-9]\d{9}$"
VIN = r"^[A-HJ-NPR-Z0-9]{17}$"
PLATE = (r"^[京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新][A-HJ-NP-Z]"
         r"(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9学警港澳挂使领]|[A-K][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF])$")
RESIDENT_ID = r"^[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]$"
USCC = r"^[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}$"
EMAIL = r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"
#: Fixed lines with their area code, and service numbers.
LANDLINE = r"^(?:0\d{2,3}\d{7,8}|400\d{7}|800\d{7}|[2-8]\d{6,7})$"
#: Numbers that are typed when there is none: eight equal digits at the end, or digits counted up or down.
DEAD_MOBILE = (r"^1\d{2}(?:0{8}|1{8}|2{8}|3{8}|4{8}|5{8}|6{8}|7{8}|8{8}|9{8}|01234567|12345678|23456789|98765432|87654321|76543210)$"
               r"|^13800138000$")
#: Series of virtual operators: cheap, without a shop, often not kept.
VIRTUAL_MOBILE = r"^(?:16[257]|17[01])\d{8}$"
#: First two digits of a region of China in a resident ID (GB/T 2260), and 9 for permanent residents from abroad.
REGION = r"^(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|9)"
#: VINs that are typed when there is none: one character all along, or counted up.
DEAD_VIN = "^(?:" + "|".join(f"{c}{{17}}" for c in "0123456789ABCDEFGHJKLMNPRSTUVWXYZ") + "|12345678901234567|.*TEST.*)$"
#: Plates of cars without one.
DEAD_PLATE = r"^(?:无牌|临牌|新车|未上牌|未挂牌|临时|待上牌|..?0{5,6}|.{1,2}12345|X{4,}|TEST.*)$"
#: Odometers that are typed when nobody looked.
DEAD_KM = (0, 1, 99_999, 111_111, 123_456, 222_222, 333_333, 666_666, 888_888, 999_999, 1_234_567)
#: Amounts that are typed when nobody knew.
DEAD_YUAN = (99_999, 999_999, 9_999_999, 12_345, 123_456, 1_234_567)
#: What is typed for a name when there is none, without blanks and in small letters.
DEAD_NAME = r"^(?:测试.*|.*测试|test.*|无名(?:氏|字)?|匿名|散客|临时客户|过路客户?|未知(?:客户)?|客户|车主|顾客|先生|女士|小姐|(?:x|a|1|0|\*|\?|？|\.|。|某)+|某某.*|abc|asdf.*|qwe.*|unknown.*|no ?name|n\.?n\.?|dummy.*|customer)$"
#: What a name of a company has and that of a person has not.
FIRM_NAME = r"公司|集团|合作社|事务所|经营部|商行|研究院|委员会|\b(?:co\.?,? ?ltd|ltd|inc|llc|gmbh|corp)\b"
#: Marks of texts read in the wrong encoding.
DAMAGED = "\\x{fffd}|锟斤拷|锟斤|斤拷|烫烫|屯屯|ï»¿|Ã[\\x{80}-\\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|[?？]{4,}|&#\\d{3,5};"
#: Characters that no keyboard types; tabs and ends of lines may stand in a note.
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{200b}\x{2028}\x{2029}\x{202a}-\x{202e}]"
#: Cells that a spreadsheet would run.
FORMULA = r"(?m)^[ \t]*(?:=\s*[A-Za-z(\"'+\-@]|[+@\-][A-Za-z]+[(|!])"

# fmt: on


def _weighed(weights: Sequence[int], number: Callable[[ir.IntegerValue], ir.IntegerValue]) -> ir.IntegerValue:
    """The sum of the numbers at places 0, 1, …, each times its weight."""
    # Not `map` with the place as its second argument: Ibis mixes up the places of two such lists in one query.
    weight = ibis.literal(list(weights), "array<int64>")
    return ibis.range(len(weights)).map(lambda place: number(place) * weight[place]).sums().cast("int32")


def resident_id_digit_wrong(number: ir.StringValue) -> ir.BooleanValue:
    """True where the 18th character of a resident ID does not follow from the 17 before (GB 11643)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = _weighed(weights, lambda i: ibis.literal("0123456789").find(number.substr(i, 1)))
    return number.re_search(RESIDENT_ID).ifelse(
        ibis.literal("10X98765432").find(number.substr(17, 1)) != total % 11, ibis.null("boolean")
    )


def uscc_digit_wrong(number: ir.StringValue) -> ir.BooleanValue:
    """True where the 18th character of a social credit code does not follow from the 17 before (GB 32100)."""
    letters = ibis.literal("0123456789ABCDEFGHJKLMNPQRTUWXY")
    total = _weighed([3**i % 31 for i in range(17)], lambda i: letters.find(number.substr(i, 1)))
    return letters.find(number.substr(17, 1)) != (31 - total % 31) % 31


def vin_digit_wrong(vin: ir.StringValue) -> ir.BooleanValue:
    """True where character 9 of a VIN does not follow from the others (mod 11); null for malformed VINs."""
    return vin.re_search(VIN).ifelse(vin_check_digit(vin) != vin.substr(8, 1), ibis.null("boolean"))


def vin_check_digit(vin: ir.StringValue) -> ir.StringValue:
    """The character that belongs to place 9 of a VIN (ISO 3779 with the weights of 49 CFR 565)."""
    # A letter's number is the last digit of its place here.
    places = ibis.literal("0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ")
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = _weighed(weights, lambda i: places.find(vin.substr(i, 1)) % 10)
    return ibis.literal("0123456789X").substr(total % 11, 1)
