"""How alike two headers are, in Chinese or English: both are taken apart into concepts, and the concepts are compared.

``委托书号`` and ``Repair order no.`` are both (order, number); no list of whole headers could be long enough.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata

from dealerkit.tables import TABLES, Column, Table, fold

#: Concept → how headers write it. Chinese is found inside a run of characters, the longest first; English by word.
CONCEPTS: dict[str, str] = {
    "customer": "客户 车主 顾客 户主 会员 用户 来电人 来电客户 主叫 customer customers client cust custo clientele owner"
    " account acct caller buyer member 客",
    "contact": "联系人 contact",
    "number": "编号 编码 代码 代号 号码 单号 号 码 no number num nr code id key ref nbr",
    "name": "姓名 名称 全称 名字 全名 name fullname 名",
    "phone": "手机 电话 移动电话 移动号码 移动 联系方式 手机号 phone mobile cell cellphone telephone tel handphone msisdn",
    "second": "备用 其他 第二 固定 家庭电话 家庭 alternative second other home",
    "chassis": "车架 底盘 车辆识别 识别码 识别代码 识别代号 vin chassis frame",
    "plate": "车牌 牌照 车号 牌号 plate licence license registration reg rego",
    "order": "工单 委托书 委托单 结算单 维修单 施工单 派工单 任务单 接车单 清单 ro repairorder workorder jobcard order 单据"
    " invoice",
    "deal": "合同 订单 销售单 订购单 deal contract salesorder",
    "entered": "进厂 入厂 送修 进店 到店 来店 来厂 接车 开单 进站 入站 到厂 opened open checkin in arrival arrived received"
    " visit dropoff",
    "left": "结算 出厂 完工 离厂 竣工 出站 结账 settled settlement closed close checkout out completed finished invoiced"
    " completion",
    "date": "日期 时间 日 年月日 年月 时刻 date time datetime day on at dt timestamp start",
    "odometer": "里程 公里 公里数 里程数 码表 表显 表数 odometer mileage km kms miles odo",
    "type": "类型 类别 种类 性质 分类 属性 别 类 type kind category cat class group",
    "service": "维修 修理 业务 服务 service repair job work workshop",
    "labour": "工时费 工时 人工 工费 labour labor",
    "part": "配件 材料 零件 备件 物料 part parts material materials spare fitting fittings",
    "money": "金额 小计 subtotal 费用 费 价格 价款 价 款 元 总额 额 amount amt fee price cost cny rmb sum value charge net",
    "total": "总 合计 总计 应收 实收 应结 应付 实付 total grand gross due payable paid",
    "discount": "优惠 折扣 减免 折让 让利 discount disc rebate reduction",
    "payer": "付费 付款 承担 支付 费用承担 结算方式 付款形式 payer pays billed bill payment pay by fin",
    "adviser": "服务顾问 接待 接车人 接车sa 顾问 adviser advisor sa receptionist writer consultant",
    "seller": "销售顾问 销售员 销售人员 跟进人 salesperson seller salesman sales",
    "fault": "故障 症状 报修 抱怨 concern fault symptom complaint problem",
    "booked": "预约 booked appointment booking appt",
    "wait": "等待 等候 wait waiting",
    "comeback": "返修 返工 comeback rework repeat",
    "brought": "送修人 送车人 brought",
    "flag": "是否 标志 标识 标记 flag whether",
    "sex": "性别 称谓 称呼 sex gender salutation title honorific",
    "birth": "出生 生日 birth birthday dob born",
    "identity": "身份证 证件 统一社会信用 identity idcard national",
    "mail": "邮箱 邮件 email mail e-mail emailaddr",
    "address": "地址 住址 住所 address addr street streetaddr",
    "area": "小区 区域 区县 片区 area district",
    "job": "职业 occupation profession",
    "employer": "单位 公司 employer company",
    "income": "收入 income earnings",
    "hobby": "爱好 兴趣 生活方式 hobby hobbies interests lifestyle",
    "level": "等级 级别 卡级 会员等级 level tier grade membership",
    "points": "积分 points bonus",
    "credit": "信用 credit",
    "created": "建档 建卡 创建 登记 录入 建立 注册 created since file enrolled registered",
    "origin": "来源 渠道 channel source origin",
    "consent": "同意 授权 consent opt permission",
    "brand": "品牌 brand make",
    "model": "车型 车系 model series",
    "car": "车辆 车 vehicle car auto",
    "year": "年款 年份 年 year yr my",
    "fuel": "燃料 燃油 能源 动力 fuel energy power powertrain drive",
    "bought": "购车 购买 购入 提车 开票 发票 销售 purchase purchased buy bought sold retail",
    "listed": "指导 msrp rrp list",
    "warranty": "质保 保修 三包 warranty wty guarantee",
    "insurance": "保险 交强险 商业险 保单 insurance policy",
    "end": "到期 截止 期满 至 end ends expiry expires until ending",
    "finance": "贷款 按揭 金融 finance loan",
    "disposed": "处置 流转 disposed disposal",
    "here": "本店 自店 自销 here own",
    "line": "行 行号 行次 序号 项次 line seq row position",
    "item": "项目 明细 item op operation task",
    "quantity": "数量 用量 件数 qty quantity count pcs",
    "hours": "工时数 标准工时 hours hrs hour",
    "status": "状态 情况 执行 status state",
    "call": "通话 来电 呼叫 回访 接触 流水 call callref ticket interaction log",
    "score": "评分 得分 满意度 score rating csat nps",
    "duration": "时长 秒 duration seconds sec secs talksec length talk",
    "outcome": "结果 outcome result disposition",
    "text": "内容 备注 说明 描述 description desc content remark remarks note notes text comment comments",
    "topic": "主题 事由 topic subject",
    "agent": "坐席 座席 话务员 客服 agent operator",
    "staff": "员工 工号 staff employee emp",
    "lead": "线索 lead",
    "assigned": "分配 派发 assigned assignment",
    "first": "首次 首 first",
    "follow": "跟进 联系 follow",
    "lost": "战败 流失 lost",
    "why": "原因 reason why",
    "campaign": "活动 campaign promotion promo",
    "arm": "分组 组别 组 arm",
    "responded": "响应 response responded",
    "revenue": "带来收入 revenue",
    "role": "岗位 职位 职务 角色 role position",
    "traded": "置换 旧车 tradein trade-in exchange",
    "ordered": "下单 签约 签单 签订 ordered signed",
    "delivered": "交车 交付 提车日 delivered handover handed over delivery",
    "sale": "成交 销售价 sale sales",
    "promise": "促销 offer",
}

#: Concepts that say little by themselves.
_PLAIN = {
    "number": 0.5,
    "date": 0.5,
    "money": 0.5,
    "name": 0.6,
    "type": 0.5,
    "flag": 0.3,
    "item": 0.7,
    "service": 0.6,
    "text": 0.5,
}

#: Concepts of which a header has one: a name is no description, a phone no date.
_KINDS = {
    "name",
    "phone",
    "date",
    "number",
    "money",
    "mail",
    "address",
    "text",
    "flag",
    "birth",
    "quantity",
    "duration",
}

#: Concepts that a table implies: a "type" among customers is a type of customer.
IMPLIED = {
    "customers": {"customer"},
    "vehicles": {"car", "customer"},
    "contacts": {"contact"},
    "sales_orders": {"deal", "sale", "bought"},
    "service_orders": {"service", "order", "entered"},
    "service_lines": {"service", "line"},
    "interactions": {"call", "topic"},
    "leads": {"lead"},
    "campaigns": {"campaign"},
    "staff": {"staff"},
}

_UNIT = re.compile(r"[(（\[【](?:元|万元|公里|km|yuan|cny|rmb|分钟|min|小时|h|秒|s|%)[)）\]】]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]+")
_WORD = re.compile(r"[a-z]+")

_SPELLINGS = {spelling: concept for concept, spellings in CONCEPTS.items() for spelling in spellings.split()}
_LONGEST = max(len(s) for s in _SPELLINGS)
_TAILS = ("number", "name", "date", "time", "phone", "code", "type", "num", "no", "nr", "id", "amt")
_WORDS = sorted(s for s in _SPELLINGS if s.isascii() and len(s) > 3)


@functools.cache
def concepts(header: str) -> frozenset[str]:
    """The concepts of a header; what is none of ours stays as ``?text``."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", unicodedata.normalize("NFKC", header))
    text = (
        _UNIT.sub(" ", text.lower())
        .replace("e-mail", "email")
        .replace("#", " no ")
        .replace(".", "" if _dotted(text) else " ")
    )
    found = set()
    for run in _CHINESE.findall(text):
        found |= _chinese(run)
    for word in _WORD.findall(text):
        found |= _english(word)
    return frozenset(found)


def _dotted(text: str) -> bool:
    """Whether the dots are those of D.O.B."""
    return bool(re.search(r"\b[A-Za-z]\.[A-Za-z]\.", text))


def _chinese(run: str) -> set[str]:
    found, at = set(), 0
    while at < len(run):
        for size in range(min(_LONGEST, len(run) - at), 0, -1):
            concept = _SPELLINGS.get(run[at : at + size])
            if concept:
                found.add(concept)
                at += size
                break
        else:
            found.add(f"?{run[at]}")
            at += 1
    return found


def _english(word: str) -> set[str]:
    for form in (word, word.removesuffix("s"), word.removesuffix("ed")):
        if form in _SPELLINGS:
            return {_SPELLINGS[form]}
    for tail in _TAILS:
        if word.endswith(tail) and word.removesuffix(tail) in _SPELLINGS:
            return {_SPELLINGS[word.removesuffix(tail)], _SPELLINGS[tail]}
    if len(word) < 2:
        return set()
    close = difflib.get_close_matches(word, _WORDS, n=1, cutoff=0.85) if len(word) > 4 else []
    return {_SPELLINGS[close[0]] if close else f"?{word}"}


def _weight(concept: str, implied: set[str]) -> float:
    if concept.startswith("?"):
        return 0.6
    return 0.3 if concept in implied else _PLAIN.get(concept, 1.0)


def likeness(header: str, table: Table, column: Column) -> float:
    """How much a header looks like a column of a table, 0 to 1; 1 only for a spelling that is declared."""
    return _likeness(header, table.name, column.name)


@functools.cache
def _likeness(header: str, table_name: str, column_name: str) -> float:
    table = TABLES[table_name]
    column = table[column_name]
    spellings = [column.name, column.en, column.zh, *column.synonyms]
    if fold(header) in {fold(s) for s in spellings}:
        return 1.0
    have, implied = concepts(header), IMPLIED.get(table.name, set())
    best = 0.0
    for spelling in spellings:
        want = concepts(spelling.replace("_", " "))
        both = sum(_weight(c, implied) for c in have & want)
        either = sum(_weight(c, implied) for c in have | want)
        other = have & _KINDS and want & _KINDS and not have & want & _KINDS
        best = max(best, (0.5 if other else 1.0) * both / either if either else 0.0)
    letters = difflib.SequenceMatcher(None, fold(header), fold(column.name)).ratio() if header.isascii() else 0.0
    return min(0.95, max(best, letters * 0.7 if letters > 0.8 else 0.0))


def is_known(header: str, column: Column) -> bool:
    """Whether the header is the column's name, label or a declared synonym."""
    return fold(header) in {fold(s) for s in (column.name, column.en, column.zh, *column.synonyms)}


#: Words inside the values of code columns, beyond the declared spellings.
VALUE_WORDS: dict[str, dict[str, str]] = {
    "order_type": {
        "maintenance": "保养 定保 首保 maint service svc pm",
        "repair": "修理 小修 大修 机电 repair mech",
        "accident": "事故 钣金 喷漆 钣喷 body accident collision",
        "warranty": "索赔 质保 三包 wty warranty",
        "recall": "召回 recall",
        "accessory": "精品 加装 装潢 acc accessory",
        "inspection": "检测 年审 年检 检查 insp inspection check",
    },
    "payer_kind": {
        "customer": "自付 自费 车主 客户 cust customer cash retail",
        "warranty": "厂家 主机厂 索赔 maker manufacturer oem warranty",
        "insurer": "保险 理赔 insur insurance",
        "internal": "内部 本店 店内 own internal",
    },
    "gender": {"m": "男 先生 mr male", "f": "女 女士 小姐 mrs ms miss female"},
    "customer_type": {
        "person": "个人 私人 私户 自然人 person private individual",
        "company": "单位 公司 企业 公户 法人 company corporate fleet business",
    },
    "energy_type": {
        "ice": "汽油 柴油 燃油 油车 petrol diesel gasoline",
        "hev": "油电 混动 混合 hybrid",
        "phev": "插电 插混 plug phev",
        "bev": "纯电 电动 electric ev bev",
    },
    "kind": {
        "labour": "工时 人工 labour labor",
        "part": "配件 备件 零件 材料 part",
        "care_call": "关怀 回访 care",
        "survey": "调查 满意 survey",
        "complaint": "投诉 抱怨 complain",
        "enquiry": "咨询 enquir inquir",
        "campaign": "活动 邀约 campaign",
        "test_drive": "试驾",
        "showroom_visit": "到店 看车",
    },
    "status": {
        "done": "完成 完工 已做 done complete",
        "declined": "拒 declin refus",
        "postponed": "延 暂缓 择期 下次 postpon defer later",
        "won": "成交 won",
        "lost": "战败 lost",
        "following": "跟进 follow",
        "invalid": "无效 invalid",
        "new": "新建",
    },
    "payment": {"cash": "全款 现金 cash", "loan": "贷款 按揭 分期 loan finance", "lease": "租赁 lease"},
    "role": {"driver": "司机 驾驶 driver", "payer": "付款 payer", "household": "家 family", "owner": "车主 owner"},
    "desk": {"maker": "厂 oem maker", "store": "店 store dealer"},
    "arm": {"treated": "实验 触达 treat test", "control": "对照 控制 control holdout"},
}


def guess_code(column: Column, value: str) -> str | None:
    """The code that a value most likely stands for, or None when nothing or more than one fits."""
    words = VALUE_WORDS.get(column.name, {})
    text = unicodedata.normalize("NFKC", value).lower()
    found: dict[str, int] = {}
    for code, spellings in column.codes.items():
        own = {fold(s) for s in spellings} | set(words.get(code, "").split())
        for word in own:
            hit = word in text if not word.isascii() else re.search(rf"(?<![a-z]){re.escape(word)}", text)
            if word and hit and (len(word) > 1 or not word.isascii() or text.strip() == word):
                found[code] = max(found.get(code, 0), len(word) + (1 if not word.isascii() else 0))
    if not found:
        return None
    best = max(found.values())
    winners = [code for code, size in found.items() if size == best]
    return winners[0] if len(winners) == 1 else None
