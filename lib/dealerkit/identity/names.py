"""Names as dealers type them, read into what can be compared: letters, sound, surname, title.

Read once for each distinct name; the sound of a Chinese name is its pinyin without tones, so that homophones and a name
in Latin letters meet. A title (先生, 女士, Mr, Ms, 王总) leaves a surname to compare with full names.
"""

from __future__ import annotations

import importlib.util
import json
import re
import unicodedata
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import pandas as pd

#: Readings that a character has as a surname and that are not its usual one.
SURNAME_READINGS = {
    "单": "shan", "仇": "qiu", "解": "xie", "查": "zha", "区": "ou", "朴": "piao", "曾": "zeng", "盖": "ge", "乐": "yue",
    "任": "ren", "华": "hua", "尉": "wei", "缪": "miao", "翟": "zhai", "洗": "xian", "冼": "xian", "那": "na", "召": "shao",
    "种": "chong", "秘": "bi", "黑": "he", "折": "she", "纪": "ji", "宁": "ning", "覃": "qin", "員": "yun", "员": "yun",
    "繁": "po", "瞿": "qu", "重": "chong", "祭": "zhai", "柏": "bai", "晁": "chao", "都": "du", "洪": "hong", "令": "ling",
    "牟": "mu", "万": "wan", "石": "shi", "葛": "ge", "燕": "yan", "应": "ying", "么": "yao", "卜": "bu", "车": "che",
}  # fmt: skip
#: Surnames of two characters, with their readings.
COMPOUND_SURNAMES = {
    "欧阳": "ouyang", "上官": "shangguan", "司马": "sima", "诸葛": "zhuge", "东方": "dongfang", "皇甫": "huangfu",
    "尉迟": "yuchi", "公孙": "gongsun", "慕容": "murong", "令狐": "linghu", "宇文": "yuwen", "长孙": "zhangsun",
    "司徒": "situ", "司空": "sikong", "夏侯": "xiahou", "万俟": "moqi", "端木": "duanmu", "轩辕": "xuanyuan",
    "独孤": "dugu", "南宫": "nangong", "西门": "ximen", "闻人": "wenren", "赫连": "helian", "澹台": "tantai",
    "申屠": "shentu", "太史": "taishi", "呼延": "huyan", "钟离": "zhongli", "濮阳": "puyang", "淳于": "chunyu",
    "单于": "chanyu", "完颜": "wanyan", "东郭": "dongguo", "百里": "baili", "拓跋": "tuoba", "鲜于": "xianyu",
}  # fmt: skip
#: The commonest surnames in Latin letters, to find the surname in a name written as one word.
_LATIN_SURNAMES = frozenset(
    """an bai bao bi bian cai cao cen chang che chen cheng chu cui dai deng ding dong du duan fan fang fei feng fu gan gao ge
    geng gong gu guan guo han hao he hong hou hu hua huang ji jia jian jiang jiao jin jing ju kang ke kong kuang lai lan lei
    leng li lian liang liao lin ling liu long lou lu luo lv ma mao mei meng miao min mo mu nie ning niu ou pan pang pei peng
    pu qi qian qiao qin qiu qu quan ran rao ren rong ruan sha shan shang shao shen sheng shi shu song su sun tan tang tao
    teng tian tong tu wan wang wei wen weng wu xi xia xian xiang xiao xie xin xing xiong xu xue yan yang yao ye yi yin ying
    you yu yuan yue yun zang zeng zhai zhan zhang zhao zheng zhong zhou zhu zhuang zhuo zong zou zuo""".split()
) | frozenset(COMPOUND_SURNAMES.values())
#: Title → sex it tells, None where it tells none.
_TITLES = {
    "先生": "m", "女士": "f", "小姐": "f", "太太": "f", "夫人": "f", "阿姨": "f", "大姐": "f", "大哥": "m", "师傅": None,
    "老师": None, "老板": None, "经理": None, "医生": None, "总": None, "工": None,
}  # fmt: skip
_LATIN_TITLES = {"mr": "m", "mister": "m", "sir": "m", "mrs": "f", "ms": "f", "miss": "f", "madam": "f", "dr": None}
_TITLE = re.compile("(.+?)?(" + "|".join(sorted(_TITLES, key=len, reverse=True)) + ")")
#: Last or first characters of given names that are hardly ever those of the other sex.
_MALE, _FEMALE = frozenset("伟强军涛刚勇磊鹏杰龙斌彪雄峰钢虎"), frozenset("芳娟丽秀燕艳玲婷雪梅莉娜倩薇蔷媛妍姗萍娥")
_HAN = re.compile(r"[\u3400-\u9fff]")
_COMPANY = re.compile(
    r"(公司|集团|工厂|厂|商行|商店|经营部|事务所|合作社|学校|医院|银行|委员会|研究院|中心|局)$"
    r"|\b(co|ltd|llc|inc|corp|company|limited|group|gmbh|plc)\b"
)
_LEGAL_FORM = re.compile(
    r"(股份有限公司|有限责任公司|有限公司|分公司|公司|集团)|\b(co|ltd|llc|inc|corp|company|limited|plc|gmbh)\b"
)
_SYLLABLE = (
    r"(?:(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])"
    r"(?:iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|ai|an|ao|ei|en|ia|ie|in|iu|ou|ua|ue|ui|un|uo|ve|a|e|i|o|u|v)"
    r"|ang|ai|an|ao|en|er|ou|a|e)"
)
_SPELLED = re.compile(f"{_SYLLABLE}+")


@dataclass(frozen=True)
class Name:
    """What a name says.

    Attributes:
        key: its letters, the words of a Latin name in the order of the alphabet; of a company without its legal form.
        sound: pinyin without tones, or the Latin letters as written.
        turned: ``sound`` with the last word first, of a Latin name of several words.
        surname, surname_b: sound of the surname; a Latin name may begin or end with it.
        full: more than a surname is known.
        sex: m or f when a title tells it.
        hint: m or f when a given name hardly ever borne by the other sex suggests it; a slip of the pen can make one.
        company: the words say that it is a company.
        spelled: the sound is made of syllables of pinyin, so that one letter more or less makes another name.
    """

    key: str | None = None
    sound: str | None = None
    turned: str | None = None
    surname: str | None = None
    surname_b: str | None = None
    full: bool = False
    sex: str | None = None
    hint: str | None = None
    company: bool = False
    spelled: bool = False


#: Columns of `read_all` beside ``name``, with the engine's types.
COLUMNS = {"name_" + f.name: "boolean" if f.name in ("full", "company", "spelled") else "string" for f in fields(Name)}


def read_all(names: pd.DataFrame) -> pd.DataFrame:
    """`Name` of each row of ``names`` (columns ``name`` and ``company``, whether it is known to be one), in the columns of
    `COLUMNS`."""
    rows = [_values(read(name, bool(company))) for name, company in zip(names["name"], names["company"])]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object, index=names.index)


def _values(name: Name) -> tuple:
    # not `dataclasses.astuple`, which copies each value and takes longer than reading the name
    return (
        name.key, name.sound, name.turned, name.surname, name.surname_b, name.full, name.sex, name.hint, name.company,
        name.spelled,
    )  # fmt: skip


def read(text: str, company: bool = False) -> Name:
    """What a name says; nothing of one without a letter.

    Args:
        text: as the dealer has it.
        company: it is known to be a company's.

    >>> read("王先生").surname, read("王先生").full, read("王先生").sex
    ('wang', False, 'm')
    >>> read("单晓明").sound == read("Shan Xiaoming").sound
    True
    """
    plain = unicodedata.normalize("NFKC", text).lower()
    if company or _COMPANY.search(plain.strip(" .")):
        return _company(plain)
    if _HAN.search(plain):
        return _chinese("".join(c for c in plain if c.isalnum()))
    return _latin("".join(c if c.isalnum() else " " if c in " -_,·." else "" for c in plain).split())


def _company(plain: str) -> Name:
    def letters(text):
        return "".join(c for c in text if c.isalnum())

    bare = letters(_LEGAL_FORM.sub("", plain)) or letters(plain) or None
    return Name(key=bare, sound=bare, full=bare is not None, company=True)


def _chinese(letters: str) -> Name:
    titled = _TITLE.fullmatch(letters)
    bare, title = (titled[1] or "", titled[2]) if titled and len(letters) < 7 else (letters, None)
    # 工 and 总 end given names as well: they are titles after a surname only
    if title in ("总", "工") and not _is_surname(bare):
        bare, title = letters, None
    sex = _TITLES.get(title)
    if not bare:
        return Name(sex=sex)
    family = bare[:2] if bare[:2] in COMPOUND_SURNAMES else bare[:1]
    surname = COMPOUND_SURNAMES.get(family) or SURNAME_READINGS.get(family) or _pinyin(family)
    given = bare[len(family) :]
    sound = surname + "".join(map(_pinyin, given))
    return Name(
        key=bare,
        sound=sound,
        surname=surname,
        full=bool(given),
        sex=sex,
        hint=_sex_of(given),
        spelled=True,
    )


def _is_surname(text: str) -> bool:
    return len(text) == 1 or text in COMPOUND_SURNAMES


def _sex_of(given: str) -> str | None:
    """Sex that a given name tells; None when it tells none or both."""
    male, female = not _MALE.isdisjoint(given), not _FEMALE.isdisjoint(given)
    return ("m" if male else "f") if male != female else None


def _latin(words: list[str]) -> Name:
    titles = [w for w in words if w in _LATIN_TITLES]
    bare = [w for w in words if w not in _LATIN_TITLES]
    sex = next((_LATIN_TITLES[w] for w in titles), None)
    if not bare:
        return Name(sex=sex)
    sound = "".join(bare)
    if len(bare) == 1:
        surname = _surname_of_one_word(sound)
        full = not titles and sound not in _LATIN_SURNAMES
        first = surname if full else sound
        return Name(sound, sound, surname=first, full=full, sex=sex, spelled=_is_spelled(sound))
    turned, key = "".join([bare[-1], *bare[:-1]]), " ".join(sorted(bare))
    return Name(key, sound, turned, bare[0], bare[-1], full=True, sex=sex, spelled=_is_spelled(sound))


def _surname_of_one_word(word: str) -> str:
    """The longest surname that the word begins with, else the word."""
    return next((word[:n] for n in range(min(9, len(word) - 1), 1, -1) if word[:n] in _LATIN_SURNAMES), word)


def _is_spelled(sound: str) -> bool:
    return bool(_SPELLED.fullmatch(sound))


@lru_cache(maxsize=1)
def _readings() -> dict[str, str]:
    """Character code → readings; the package's file alone, since importing it reads its phrases as well (0.3 s)."""
    spec = importlib.util.find_spec("pypinyin")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return json.loads((folder / "pinyin_dict.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=30_000)
def _pinyin(letter: str) -> str:
    """The usual reading of a character without its tone (ü as v); other letters as they are."""
    usual = _readings().get(str(ord(letter)), letter).split(",")[0]
    parts = unicodedata.normalize("NFD", usual).replace("u\u0308", "v")
    return "".join(c for c in parts if not unicodedata.combining(c))
