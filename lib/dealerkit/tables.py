"""The canonical tables, each declared once.

One declaration feeds reading (headers, synonyms), checking (type, range, codes, references),
the data dictionary and the labels in charts. Nothing else in the kit types a column's meaning again.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace

#: Types a column may have. ``money`` is yuan as DECIMAL(18,2): float sums differ by thread count.
TYPES = ("text", "date", "time", "int", "number", "money", "bool", "code")

#: Kinds of personal data; values of such columns never leave ``build/`` unmasked.
PERSONAL = ("name", "phone", "id", "plate", "vin", "email", "address", "birth", "free_text")


@dataclass(frozen=True)
class Column:
    """One canonical column.

    Attributes:
        name: canonical name, with its unit where it has one (``total_yuan``).
        type: one of `TYPES`.
        en, zh: labels; both are also accepted as headers.
        synonyms: further headers seen in exports.
        required: the table cannot be read without it.
        lo, hi: allowed range of numbers, both ends included.
        codes: for type ``code``: code → (English label, Chinese label, further spellings…).
        personal: kind of personal data, one of `PERSONAL`, or None.
        format: named legality rule (mobile, plate, vin, resident_id_or_uscc, email).
        ref: table whose key the column holds.
        expected: how complete a good export is; below it the completeness check warns.
        known_from: the column of the same row that holds the date since which the value is known;
            ``parent`` when it is known with the record it belongs to; ``export`` when only the state at delivery
            is known; ``always`` when it never changes.
        null_means: what an empty cell says.
    """

    name: str
    type: str
    en: str
    zh: str
    synonyms: tuple[str, ...] = ()
    required: bool = False
    lo: float | None = None
    hi: float | None = None
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    personal: str | None = None
    format: str | None = None
    ref: str | None = None
    expected: bool = False
    known_from: str = ""
    null_means: str = "unknown"

    @property
    def unit(self) -> str:
        """Unit read off the name: yuan, km, minutes, hours, date, time, or empty."""
        if self.type in ("date", "time"):
            return self.type
        tail = self.name.rsplit("_", 1)[-1]
        return tail if tail in ("yuan", "km", "minutes", "hours", "seconds") else ""

    def label(self, language: str) -> str:
        """Label in ``en`` or ``zh``."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Table:
    """One canonical table: what a row is, its key, its main date and its columns."""

    name: str
    en: str
    zh: str
    row_en: str
    row_zh: str
    key: tuple[str, ...]
    date: str | None
    columns: tuple[Column, ...]
    required: bool = False

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}; it has {', '.join(self.names)}")

    def __contains__(self, name: str) -> bool:
        return any(c.name == name for c in self.columns)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]

    def label(self, language: str) -> str:
        """Label in ``en`` or ``zh``."""
        return self.zh if language == "zh" else self.en


def fold(header: str) -> str:
    """Header in the form in which headers are compared: half width, lower case, no space or punctuation."""
    text = unicodedata.normalize("NFKC", str(header)).lower()
    return re.sub(r"[\s_\-./\\:：()（）\[\]【】*#'\"“”]+", "", text)


#: Spellings of yes and no.
YES_NO = {"yes": ("yes", "是", "true", "1", "y", "t", "有", "✓"), "no": ("no", "否", "false", "0", "n", "f", "无")}


def _table(name, en, zh, row_en, row_zh, key, date, columns, required=False) -> Table:
    """Build a table; columns without `known_from` are known from the table's date, else at export."""
    done = []
    for column in columns:
        known = column.known_from or ("always" if column.name in key else date or ("parent" if name == "service_lines" else "export"))
        codes = YES_NO if column.type == "bool" else column.codes
        done.append(replace(column, known_from=known, codes=codes))
    return Table(name, en, zh, row_en, row_zh, tuple(key), date, tuple(done), required)


C = Column

CUSTOMERS = _table(
    "customers", "Customers", "客户", "a person or company as the source has it", "来源系统中的一位个人或企业客户",
    ["customer_id"], None,
    [
        C("customer_id", "text", "Customer ID", "客户编号", ("客户代码", "客户号", "会员编号", "客户编码", "custno", "customer no", "cust id", "account no", "clientid"), required=True),
        C("customer_type", "code", "Customer type", "客户类型", ("客户性质", "客户类别", "type of customer"),
          codes={"person": ("person", "个人", "个人客户", "私人", "individual", "private", "p"), "company": ("company", "企业", "企业客户", "单位", "公司", "corporate", "business", "c", "fleet")}, known_from="always"),
        C("name", "text", "Name", "姓名", ("客户姓名", "客户名称", "名称", "车主", "车主姓名", "客户", "customer name", "full name"), personal="name", expected=True),
        C("gender", "code", "Gender", "性别", ("sex",), codes={"m": ("male", "男", "男性", "先生", "man"), "f": ("female", "女", "女性", "女士", "小姐", "woman")}, known_from="always"),
        C("birth_date", "date", "Birth date", "出生日期", ("生日", "出生年月", "date of birth", "birthday", "dob"), personal="birth", known_from="always"),
        C("id_number", "text", "ID number", "证件号码", ("身份证号", "身份证号码", "身份证", "证件号", "统一社会信用代码", "identity card", "id card", "national id"), personal="id", format="resident_id_or_uscc", known_from="always"),
        C("phone", "text", "Phone", "手机号", ("手机", "手机号码", "联系电话", "电话", "移动电话", "联系方式", "mobile", "phone number", "mobile phone", "tel"), personal="phone", format="mobile", expected=True, known_from="export"),
        C("phone_alt", "text", "Second phone", "备用电话", ("其他电话", "电话2", "固定电话", "家庭电话", "alternative phone", "phone 2"), personal="phone", known_from="export"),
        C("email", "text", "E-mail", "电子邮箱", ("邮箱", "email address", "mail"), personal="email", format="email", known_from="export"),
        C("address", "text", "Address", "地址", ("联系地址", "家庭住址", "通讯地址", "street address"), personal="address", known_from="export"),
        C("region", "text", "Region", "地区", ("所在地区", "省市", "所在省市", "城市", "所在城市", "省份", "province", "city", "province and city"), known_from="export"),
        C("residential_area", "text", "Residential area", "小区", ("所在小区", "区域", "所在区域", "区县", "district", "area"), known_from="export"),
        C("occupation", "text", "Occupation", "职业", ("profession", "job"), known_from="export"),
        C("employer", "text", "Employer", "工作单位", ("单位名称", "company name"), personal="name", known_from="export"),
        C("income_band", "text", "Income band", "收入区间", ("收入", "月收入", "income"), known_from="export"),
        C("lifestyle", "text", "Lifestyle", "生活方式", ("兴趣爱好", "爱好", "hobby", "interests"), known_from="export"),
        C("member_level", "text", "Member level", "会员等级", ("会员级别", "会员卡等级", "membership", "tier"), known_from="export"),
        C("points", "int", "Points", "积分", ("会员积分", "剩余积分", "loyalty points"), lo=0, hi=10_000_000, known_from="export"),
        C("credit_grade", "text", "Credit grade", "信用度", ("信用等级", "credit"), known_from="export"),
        C("service_level", "text", "Service level", "服务水平", ("服务级别", "服务等级"), known_from="export"),
        C("account_manager_id", "text", "Account manager", "客户经理", ("客户经理编号", "专属顾问", "account manager id", "relationship manager"), ref="staff", known_from="export"),
        C("created_on", "date", "Created on", "建档日期", ("创建日期", "建档时间", "登记日期", "created", "registration date", "customer since"), known_from="created_on"),
        C("source_channel", "text", "Source channel", "客户来源", ("来源渠道", "信息来源", "channel of origin", "acquisition channel"), known_from="created_on"),
        C("marketing_consent", "bool", "Marketing consent", "营销同意", ("同意营销", "是否同意营销", "营销授权", "opt in", "consent"), known_from="export", null_means="not asked"),
    ])

VEHICLES = _table(
    "vehicles", "Vehicles", "车辆", "a car", "一台车", ["vin"], None,
    [
        C("vin", "text", "VIN", "车架号", ("车辆识别代码", "车辆识别代号", "vin码", "底盘号", "车辆识别码", "chassis no", "vehicle identification number"), required=True, personal="vin", format="vin"),
        C("plate", "text", "Plate", "车牌号", ("车牌", "车牌号码", "牌照", "牌照号", "number plate", "licence plate", "license plate", "registration no"), personal="plate", format="plate", expected=True, known_from="export"),
        C("customer_id", "text", "Customer ID", "客户编号", ("车主编号", "客户代码", "客户号", "owner id", "custno", "customer no"), ref="customers", expected=True, known_from="export"),
        C("brand", "text", "Brand", "品牌", ("make",), known_from="always"),
        C("series", "text", "Model line", "车系", ("车型系列", "车型", "model", "model series", "model line"), expected=True, known_from="always"),
        C("model_year", "int", "Model year", "年款", ("车型年款", "year"), lo=1980, hi=2100, known_from="always"),
        C("energy_type", "code", "Energy type", "能源类型", ("燃料类型", "动力类型", "fuel", "fuel type", "powertrain"), known_from="always",
          codes={"ice": ("petrol or diesel", "燃油", "汽油", "柴油", "petrol", "diesel", "gasoline"), "hev": ("hybrid", "混动", "油电混动", "混合动力"), "phev": ("plug-in hybrid", "插电混动", "插混", "plug-in", "插电式混合动力"), "bev": ("electric", "纯电", "纯电动", "电动", "ev", "battery electric")}),
        C("list_price_yuan", "money", "List price, yuan", "指导价（元）", ("指导价", "厂商指导价", "list price", "msrp"), lo=0, hi=20_000_000, known_from="always"),
        C("purchase_price_yuan", "money", "Purchase price, yuan", "购车价（元）", ("购车价", "购车价格", "成交价", "purchase price"), lo=0, hi=20_000_000, known_from="purchased_on"),
        C("purchased_on", "date", "Purchased on", "购车日期", ("购买日期", "销售日期", "开票日期", "购车时间", "purchase date", "date of purchase", "sold on"), expected=True, known_from="purchased_on"),
        C("sold_here", "bool", "Sold here", "自店销售", ("是否本店购车", "本店购车", "自销", "own sale"), known_from="purchased_on"),
        C("warranty_ends_on", "date", "Warranty ends on", "质保到期日", ("保修到期日", "质保截止日期", "warranty end", "warranty until"), known_from="purchased_on"),
        C("warranty_km", "int", "Warranty, km", "质保里程（公里）", ("质保里程", "保修里程", "warranty mileage"), lo=0, hi=2_000_000, known_from="purchased_on"),
        C("odometer_km", "int", "Odometer, km", "当前里程（公里）", ("当前里程", "行驶里程", "里程", "里程数", "mileage", "odometer"), lo=0, hi=2_000_000, known_from="export"),
        C("odometer_on", "date", "Odometer read on", "里程日期", ("里程记录日期", "odometer date"), known_from="export"),
        C("finance_ends_on", "date", "Finance ends on", "贷款到期日", ("金融到期日", "按揭到期日", "finance end"), known_from="purchased_on", null_means="no finance known"),
        C("insurance_ends_on", "date", "Insurance ends on", "保险到期日", ("保险到期", "交强险到期日", "商业险到期日", "insurance end", "insurance expiry"), known_from="export"),
        C("disposed_on", "date", "Disposed on", "处置日期", ("车辆处置日期", "流转日期", "disposed", "sold off on"), known_from="export", null_means="still held as far as known"),
    ])

CONTACTS = _table(
    "contacts", "Contacts", "联系人", "a person tied to a customer or car", "与客户或车辆相关的一位联系人", ["contact_id"], None,
    [
        C("contact_id", "text", "Contact ID", "联系人编号", ("联系人代码",), required=True),
        C("customer_id", "text", "Customer ID", "客户编号", ("所属客户", "客户代码"), ref="customers"),
        C("vin", "text", "VIN", "车架号", ("车辆识别代码", "vin码"), personal="vin", format="vin", ref="vehicles"),
        C("role", "code", "Role", "角色", ("联系人类型", "关系"), expected=True,
          codes={"driver": ("driver", "送修人", "驾驶人", "司机"), "payer": ("payer", "结算人", "付款人"), "household": ("household", "家庭成员", "家人"), "owner": ("owner", "车主", "所有人")}),
        C("name", "text", "Name", "姓名", ("联系人姓名", "联系人"), personal="name", expected=True),
        C("phone", "text", "Phone", "手机号", ("联系人电话", "联系电话", "手机", "电话"), personal="phone", format="mobile", expected=True, known_from="export"),
    ])

SALES_ORDERS = _table(
    "sales_orders", "Car sales", "销售订单", "a car sold", "售出的一台车", ["order_id"], "delivered_on",
    [
        C("order_id", "text", "Order ID", "销售单号", ("订单号", "销售订单号", "合同号", "sales order", "sales order id", "contract no"), required=True),
        C("customer_id", "text", "Customer ID", "客户编号", ("客户代码", "客户号", "custno", "buyer id"), ref="customers", expected=True),
        C("vin", "text", "VIN", "车架号", ("车辆识别代码", "vin码", "底盘号"), personal="vin", format="vin", ref="vehicles", expected=True),
        C("ordered_on", "date", "Ordered on", "下单日期", ("订单日期", "签约日期", "order date"), known_from="ordered_on"),
        C("delivered_on", "date", "Delivered on", "交车日期", ("提车日期", "交付日期", "delivery date", "handover date"), required=True),
        C("price_yuan", "money", "Price, yuan", "成交价（元）", ("成交价", "成交价格", "销售价格", "price", "sale price"), lo=0, hi=20_000_000, expected=True),
        C("discount_yuan", "money", "Discount, yuan", "优惠金额（元）", ("优惠金额", "优惠", "折扣金额", "discount"), lo=0, hi=5_000_000),
        C("trade_in_vin", "text", "Trade-in VIN", "置换车架号", ("置换车辆vin", "旧车车架号", "part exchange vin"), personal="vin", format="vin", null_means="no trade-in"),
        C("payment", "code", "Payment", "付款方式", ("支付方式", "购车方式", "payment method"),
          codes={"cash": ("cash", "全款", "现金"), "loan": ("loan", "贷款", "按揭", "分期", "finance"), "lease": ("lease", "租赁", "融资租赁")}),
        C("promotion", "text", "Promotion", "促销活动", ("活动名称", "促销", "offer"), null_means="none"),
        C("region_tier", "text", "Region tier", "地区级别", ("城市级别", "region", "city tier")),
        C("salesperson_id", "text", "Salesperson", "销售顾问", ("销售顾问编号", "销售员", "sales consultant", "sales person"), ref="staff"),
        C("accessories_yuan", "money", "Accessories, yuan", "精品金额（元）", ("精品金额", "装潢金额", "附件金额", "accessories"), lo=0, hi=1_000_000),
        C("lead_id", "text", "Lead ID", "线索编号", ("线索号",), ref="leads", null_means="walk-in"),
    ])

SERVICE_ORDERS = _table(
    "service_orders", "Workshop visits", "维修工单", "a workshop visit, settled", "一次已结算的进店维修", ["order_id"], "opened_at",
    [
        C("order_id", "text", "Order ID", "工单号", ("结算清单编号", "结算单号", "维修单号", "委托书号", "工单编号", "派工单号", "repair order", "ro no", "job no", "order no", "work order", "invoice no"), required=True),
        C("vin", "text", "VIN", "车架号", ("车辆识别代码", "车辆识别代号", "vin码", "底盘号", "chassis no"), required=True, personal="vin", format="vin", ref="vehicles"),
        C("customer_id", "text", "Customer ID", "客户编号", ("客户代码", "客户号", "custno", "customer no"), ref="customers"),
        C("opened_at", "time", "Opened at", "送修日期", ("进厂日期", "进店日期", "开单日期", "开单时间", "进厂时间", "接车时间", "维修日期", "open date", "date in", "visit date", "opened"), required=True),
        C("settled_at", "time", "Settled at", "结算日期", ("结算时间", "出厂日期", "交车时间", "settlement date", "date out", "closed", "invoice date"), known_from="settled_at"),
        C("odometer_km", "int", "Odometer, km", "送修里程", ("进厂里程", "里程", "里程数", "行驶里程", "进店里程", "mileage", "odometer", "km"), lo=0, hi=2_000_000, expected=True),
        C("order_type", "code", "Order type", "维修类型", ("工单类型", "业务类型", "维修类别", "job type", "service type", "type"), expected=True,
          codes={"maintenance": ("maintenance", "保养", "定期保养", "常规保养", "首保", "service"), "repair": ("repair", "维修", "一般维修", "机修", "mechanical"), "accident": ("accident", "事故", "事故车", "钣喷", "钣金喷漆", "bodywork", "body"),
                 "warranty": ("warranty", "索赔", "质保", "保修", "三包"), "recall": ("recall", "召回"), "accessory": ("accessory", "精品", "加装", "装潢", "accessories"), "inspection": ("inspection", "检测", "检查", "年检", "check")}),
        C("fault", "text", "Fault", "故障描述", ("客户描述", "故障现象", "complaint text", "fault description"), personal="free_text"),
        C("labour_yuan", "money", "Labour, yuan", "工时费（元）", ("工时费", "工时金额", "labour", "labor"), lo=0, hi=2_000_000, known_from="settled_at"),
        C("parts_yuan", "money", "Parts, yuan", "材料费（元）", ("材料费", "配件金额", "配件费", "零件费", "parts"), lo=0, hi=2_000_000, known_from="settled_at"),
        C("discount_yuan", "money", "Discount, yuan", "优惠金额（元）", ("优惠金额", "折扣金额", "优惠", "discount"), lo=0, hi=1_000_000, null_means="none", known_from="settled_at"),
        C("total_yuan", "money", "Total, yuan", "结算金额（元）", ("结算金额", "实收金额", "应收金额", "总金额", "合计金额", "total", "amount", "total amount", "invoice total"), lo=0, hi=3_000_000, expected=True, known_from="settled_at"),
        C("payer_kind", "code", "Who pays", "付费方", ("付款类型", "付费类型", "结算方式", "付款方", "payer", "payer type"),
          codes={"customer": ("customer", "客户", "客户付费", "自费"), "warranty": ("warranty", "厂家", "索赔", "厂家付费", "manufacturer"), "insurer": ("insurer", "保险", "保险公司", "insurance"), "internal": ("internal", "内部", "本店")}, known_from="settled_at"),
        C("adviser_id", "text", "Adviser", "服务顾问", ("服务顾问编号", "接待员", "顾问", "service adviser", "service advisor", "advisor id"), ref="staff"),
        C("booked", "bool", "Booked", "是否预约", ("预约", "appointment")),
        C("wait_minutes", "int", "Wait, minutes", "等待时长（分钟）", ("等待时长", "等待时间", "waiting time", "wait"), lo=0, hi=100_000, known_from="settled_at"),
        C("is_comeback", "bool", "Come-back", "是否返修", ("返修", "内返", "comeback", "repeat repair"), known_from="settled_at"),
        C("brought_by", "text", "Brought by", "送修人", ("送修人姓名", "送修人员"), personal="name"),
        C("phone", "text", "Phone of who brought it", "送修人电话", ("送修人手机", "送修人手机号", "送修人联系电话", "送修电话", "contact phone", "driver phone"), personal="phone", format="mobile"),
        C("plate", "text", "Plate", "车牌号", ("车牌", "车牌号码", "牌照", "牌照号", "number plate", "licence plate", "license plate", "registration no"), personal="plate", format="plate"),
    ], required=True)

SERVICE_LINES = _table(
    "service_lines", "Jobs and parts", "维修明细", "one job or part on an order", "工单中的一项工时或配件", ["order_id", "line_no"], None,
    [
        C("order_id", "text", "Order ID", "工单号", ("结算清单编号", "结算单号", "维修单号", "委托书号", "工单编号", "repair order", "ro no", "job no"), required=True, ref="service_orders"),
        C("line_no", "int", "Line", "行号", ("序号", "项次", "line number", "line"), required=True, lo=0, hi=100_000),
        C("item_code", "text", "Item code", "项目代码", ("配件编码", "配件代码", "工时代码", "零件号", "项目编码", "part no", "part number", "op code")),
        C("item_name", "text", "Item", "项目名称", ("配件名称", "维修项目", "工时名称", "零件名称", "项目", "description", "item name"), expected=True),
        C("kind", "code", "Kind", "类别", ("项目类别", "明细类型", "line type"), expected=True,
          codes={"labour": ("labour", "工时", "人工", "labor", "l", "维修项目"), "part": ("part", "配件", "零件", "材料", "p", "parts")}),
        C("quantity", "number", "Quantity", "数量", ("配件数量", "qty"), lo=0, hi=100_000),
        C("hours", "number", "Hours", "工时", ("维修工时", "工时数", "labour hours", "hrs"), lo=0, hi=1_000),
        C("amount_yuan", "money", "Amount, yuan", "金额（元）", ("金额", "amount", "line total"), lo=0, hi=2_000_000),
        C("status", "code", "Status", "状态", ("项目状态", "执行状态"), null_means="done",
          codes={"done": ("done", "完成", "已完成", "已完工", "completed"), "declined": ("declined", "拒绝", "客户拒绝", "未做", "refused"), "postponed": ("postponed", "延后", "暂缓", "下次再做", "deferred")}),
    ])

INTERACTIONS = _table(
    "interactions", "Interactions", "客户接触", "one contact with a customer or lead", "与客户或线索的一次接触", ["interaction_id"], "at",
    [
        C("interaction_id", "text", "Interaction ID", "接触编号", ("回访编号", "记录编号", "流水号", "call id", "ticket no", "contact no"), required=True),
        C("customer_id", "text", "Customer ID", "客户编号", ("客户代码", "客户号"), ref="customers"),
        C("lead_id", "text", "Lead ID", "线索编号", ("线索号",), ref="leads"),
        C("at", "time", "At", "接触时间", ("回访时间", "呼叫时间", "通话时间", "发生时间", "时间", "date", "datetime", "call time", "contact date"), required=True),
        C("channel", "text", "Channel", "渠道", ("接触渠道", "联系方式类型", "medium")),
        C("kind", "code", "Kind", "接触类型", ("回访类型", "业务类型", "事件类型", "call type", "event type", "reason"), expected=True,
          codes={"care_call": ("care call", "关怀回访", "回访", "关怀"), "survey": ("survey", "满意度调查", "满意度", "调查"), "complaint": ("complaint", "投诉", "抱怨"), "enquiry": ("enquiry", "咨询", "inquiry"),
                 "campaign": ("campaign", "活动邀约", "营销活动", "活动"), "showroom_visit": ("showroom visit", "到店看车", "进店", "到店"), "test_drive_booked": ("test drive booked", "预约试驾", "试驾预约"), "test_drive": ("test drive", "试驾"),
                 "event": ("event", "车友活动", "活动参与"), "sign_up": ("sign-up", "报名", "注册", "signup"), "app": ("app", "app使用", "小程序"), "forum_post": ("forum post", "论坛发帖", "发帖"), "comment": ("comment", "评论", "留言"),
                 "rival_visit": ("visit to a rival", "竞品到店", "竞品看车"), "browse": ("browsing", "浏览", "网页浏览"), "click": ("click", "点击"), "deposit": ("deposit", "订金", "定金"), "handover": ("handover", "交车")}),
        C("outcome", "text", "Outcome", "结果", ("回访结果", "处理结果", "通话结果", "result")),
        C("score", "number", "Score, 0–10", "评分（0–10）", ("评分", "满意度评分", "得分", "rating"), lo=0, hi=10),
        C("seconds", "int", "Duration, seconds", "通话时长（秒）", ("通话时长", "时长", "duration"), lo=0, hi=86_400),
        C("text", "text", "Text", "内容", ("回访内容", "投诉内容", "备注", "notes", "remarks"), personal="free_text"),
        C("phone", "text", "Number called", "拨打号码", ("回访号码", "回访电话", "被叫号码", "呼叫号码", "外呼号码", "number dialled", "called number", "dialled number"), personal="phone", format="mobile"),
        C("staff_id", "text", "Staff ID", "员工编号", ("坐席", "坐席工号", "员工号", "工号", "agent", "agent id"), ref="staff"),
    ])

LEADS = _table(
    "leads", "Sales leads", "销售线索", "a sales lead", "一条销售线索", ["lead_id"], "created_at",
    [
        C("lead_id", "text", "Lead ID", "线索编号", ("线索号",), required=True),
        C("customer_id", "text", "Customer ID", "客户编号", ("客户代码", "客户号"), ref="customers", null_means="not yet a customer"),
        C("phone", "text", "Phone", "手机号", ("联系电话", "手机", "电话", "mobile"), personal="phone", format="mobile", expected=True),
        C("created_at", "time", "Created at", "线索时间", ("创建时间", "建立时间", "留资时间", "lead date", "created"), required=True),
        C("source", "text", "Source", "线索来源", ("来源", "来源渠道", "lead source"), expected=True),
        C("desk", "code", "Desk", "线索归属", ("归属", "lead desk"), codes={"maker": ("maker", "厂家", "厂端", "主机厂", "oem"), "store": ("store", "店端", "门店", "经销商", "dealer")}),
        C("series", "text", "Model line", "意向车系", ("意向车型", "车系", "model of interest")),
        C("purchase_purpose", "text", "Purpose", "购车目的", ("购车用途", "purpose")),
        C("status", "code", "Status", "线索状态", ("状态", "跟进状态", "lead status"), expected=True, known_from="export",
          codes={"new": ("new", "新建", "未跟进"), "following": ("following", "跟进中", "跟进", "open"), "won": ("won", "成交", "已成交"), "lost": ("lost", "战败", "已战败"), "invalid": ("invalid", "无效", "无效线索")}),
        C("assigned_at", "time", "Assigned at", "分配时间", ("派发时间", "assigned"), known_from="assigned_at"),
        C("first_contact_at", "time", "First contact at", "首次跟进时间", ("首次联系时间", "首跟时间", "first contact"), known_from="first_contact_at", null_means="not contacted"),
        C("recontacted_at", "time", "Re-contacted at", "战败回访时间", ("战败回访", "recontacted"), known_from="recontacted_at", null_means="not re-contacted"),
        C("closed_at", "time", "Closed at", "关闭时间", ("成交时间", "结束时间", "closed"), known_from="closed_at", null_means="open"),
        C("lost_reason", "text", "Lost reason", "战败原因", ("lost because",), known_from="closed_at"),
        C("salesperson_id", "text", "Salesperson", "销售顾问", ("销售顾问编号", "跟进人", "sales consultant"), ref="staff"),
    ])

CAMPAIGNS = _table(
    "campaigns", "Campaigns", "营销活动", "one customer in one campaign", "一位客户参与的一次活动", ["campaign_id", "customer_id"], "assigned_on",
    [
        C("campaign_id", "text", "Campaign ID", "活动编号", ("活动代码", "campaign"), required=True),
        C("customer_id", "text", "Customer ID", "客户编号", ("客户代码", "客户号"), required=True, ref="customers"),
        C("assigned_on", "date", "Assigned on", "分组日期", ("名单日期", "assignment date"), required=True),
        C("arm", "code", "Arm", "分组", ("组别", "group"), expected=True, codes={"treated": ("treated", "实验组", "触达组", "test"), "control": ("control", "对照组", "控制组", "holdout")}),
        C("cost_yuan", "money", "Cost, yuan", "成本（元）", ("成本", "cost"), lo=0, hi=100_000),
        C("responded_on", "date", "Responded on", "响应日期", ("到店响应日期", "response date"), known_from="responded_on", null_means="no response"),
        C("revenue_yuan", "money", "Revenue, yuan", "带来收入（元）", ("带来收入", "响应金额", "revenue"), lo=0, hi=5_000_000, known_from="responded_on"),
    ])

STAFF = _table(
    "staff", "Staff", "员工", "an employee", "一名员工", ["staff_id"], None,
    [
        C("staff_id", "text", "Staff ID", "员工编号", ("工号", "员工号", "employee id", "employee no"), required=True),
        C("role", "text", "Role", "岗位", ("职位", "职务", "position"), expected=True),
        C("phone", "text", "Phone", "手机号", ("员工电话", "联系电话", "手机", "电话"), personal="phone", format="mobile"),
    ])

#: What an order says again of the car and of who brought it, as it was that day; a car or customer that nobody delivered
#: is known by the same cells.
SAID_AGAIN: dict[str, tuple[str, ...]] = {"service_orders": ("plate", "phone")}

#: All canonical tables, parents before the tables that refer to them.
TABLES: dict[str, Table] = {
    t.name: t
    for t in (STAFF, CUSTOMERS, VEHICLES, CONTACTS, LEADS, SALES_ORDERS, SERVICE_ORDERS, SERVICE_LINES, INTERACTIONS, CAMPAIGNS)
}

#: Official electronic health record for vehicle repair, JT/T 1132.2-2017: its thirteen headers, and where
#: each goes. A row is an order × item; customers and vehicles are derived.
JTT1132: dict[str, tuple[tuple[str, str], ...]] = {
    "企业名称": (),
    "车辆识别代码": (("service_orders", "vin"), ("vehicles", "vin")),
    "车牌号码": (("vehicles", "plate"), ("service_orders", "plate")),
    "送修日期": (("service_orders", "opened_at"),),
    "送修里程": (("service_orders", "odometer_km"),),
    "结算日期": (("service_orders", "settled_at"),),
    "结算清单编号": (("service_orders", "order_id"), ("service_lines", "order_id")),
    "故障描述": (("service_orders", "fault"),),
    "维修项目": (("service_lines", "item_name"),),
    "维修工时": (("service_lines", "hours"),),
    "配件名称": (("service_lines", "item_name"),),
    "配件编码": (("service_lines", "item_code"),),
    "配件数量": (("service_lines", "quantity"),),
}


def table(name: str) -> Table:
    """The canonical table of that name; `KeyError` lists the known ones."""
    if name not in TABLES:
        raise KeyError(f"no table {name!r}; the tables are {', '.join(TABLES)}")
    return TABLES[name]


def header_index(table: Table) -> dict[str, str]:
    """Folded header → canonical column name, from names, labels and synonyms of ``table``.

    A spelling that two columns share belongs to the column that has it as name or label.
    """
    index: dict[str, str] = {}
    for column in table.columns:
        for spelling in column.synonyms:
            index.setdefault(fold(spelling), column.name)
    for column in table.columns:
        for spelling in (column.zh, column.en, column.name):
            index[fold(spelling)] = column.name
    return index


def code_index(column: Column) -> dict[str, str]:
    """Folded value → code, from codes, labels and spellings of a ``code`` or ``bool`` column."""
    return {fold(spelling): code for code, spellings in column.codes.items() for spelling in (code, *spellings)}
