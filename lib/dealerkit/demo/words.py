"""Words the invented dealers are made of: names, places, model lines, jobs, texts, in both languages.

Pairs are (English, Chinese). Every name is put together at random from these lists.
"""

from __future__ import annotations

import numpy as np

SURNAMES = [
    ("Wang", "王"), ("Li", "李"), ("Zhang", "张"), ("Liu", "刘"), ("Chen", "陈"), ("Yang", "杨"), ("Huang", "黄"),
    ("Zhao", "赵"), ("Wu", "吴"), ("Zhou", "周"), ("Xu", "徐"), ("Sun", "孙"), ("Ma", "马"), ("Zhu", "朱"),
    ("Hu", "胡"), ("Guo", "郭"), ("He", "何"), ("Lin", "林"), ("Gao", "高"), ("Luo", "罗"), ("Zheng", "郑"),
    ("Liang", "梁"), ("Xie", "谢"), ("Song", "宋"), ("Tang", "唐"), ("Han", "韩"), ("Feng", "冯"), ("Deng", "邓"),
    ("Cao", "曹"), ("Peng", "彭"), ("Zeng", "曾"), ("Xiao", "肖"), ("Tian", "田"), ("Dong", "董"), ("Pan", "潘"),
    ("Shan", "单"), ("Jiang", "蒋"), ("Cai", "蔡"), ("Yu", "余"), ("Du", "杜"),
]

#: First and second characters of given names; the second list is by sex (male, female).
GIVEN_FIRST = [
    ("Xiao", "晓"), ("Jia", "佳"), ("Zi", "子"), ("Yu", "雨"), ("Hao", "浩"), ("Si", "思"), ("Wen", "文"),
    ("Yi", "一"), ("Jian", "建"), ("Zhi", "志"), ("Ming", "明"), ("Li", "丽"), ("Hai", "海"), ("Chun", "春"),
    ("Guo", "国"), ("Xin", "欣"), ("Yun", "云"), ("Rui", "瑞"), ("Jing", "静"), ("Le", "乐"), ("Shu", "书"),
    ("Qing", "清"), ("Bo", "博"), ("Tian", "天"), ("Ya", "雅"), ("Ke", "可"), ("Dong", "东"), ("Lan", "岚"),
]
GIVEN_LAST = [
    [("ming", "明"), ("jun", "军"), ("wei", "伟"), ("qiang", "强"), ("tao", "涛"), ("bin", "斌"), ("feng", "峰"),
     ("long", "龙"), ("yang", "洋"), ("hui", "辉"), ("peng", "鹏"), ("kai", "凯"), ("xuan", "轩"), ("hang", "航"),
     ("yuan", "远"), ("ze", "泽"), ("song", "松"), ("lei", "磊"), ("cheng", "诚"), ("ning", "宁")],
    [("ling", "玲"), ("fang", "芳"), ("na", "娜"), ("min", "敏"), ("yan", "燕"), ("ting", "婷"), ("xue", "雪"),
     ("mei", "梅"), ("hong", "红"), ("ying", "颖"), ("qian", "倩"), ("lin", "琳"), ("yue", "月"), ("hua", "华"),
     ("juan", "娟"), ("xia", "霞"), ("zhen", "珍"), ("qi", "琪"), ("yao", "瑶"), ("lu", "露")],
]
#: Characters that sound alike, as a clerk mistypes them.
HOMOPHONES = {"晓": "小", "佳": "嘉", "雨": "宇", "浩": "昊", "文": "雯", "建": "健", "志": "智", "明": "鸣", "丽": "莉",
              "伟": "玮", "强": "蔷", "涛": "滔", "峰": "锋", "辉": "晖", "玲": "铃", "燕": "艳", "婷": "停", "敏": "闵"}

AREAS = [
    ("Harbour View", "海港名苑"), ("Pine Garden", "松涛花园"), ("Old Dock", "老码头小区"), ("Lotus Court", "荷风里"),
    ("Tea Hill", "茶山雅居"), ("North Pier", "北堤新村"), ("Maple Lane", "枫林巷"), ("Gull Park", "鸥园"),
    ("Silver Sands", "银沙湾"), ("East Lake", "东湖家苑"), ("Salt Yard", "盐场里"), ("Willow Bank", "柳岸"),
    ("Beacon Rise", "灯塔坡"), ("Brick Kiln", "砖窑新村"), ("Orchard Row", "果园里"), ("Stone Bridge", "石桥头"),
]
#: Where a plate's letter is at home, in the order of `ids.PLATE_CITIES`.
REGIONS = [("Zhejiang Ningbo", "浙江省宁波市"), ("Zhejiang Hangzhou", "浙江省杭州市"), ("Zhejiang Zhoushan", "浙江省舟山市"),
           ("Zhejiang Jiaxing", "浙江省嘉兴市"), ("Zhejiang Shaoxing", "浙江省绍兴市"), ("Zhejiang Taizhou", "浙江省台州市")]
STREETS = [("Haigang Road", "海港路"), ("Songtao Street", "松涛街"), ("Matou Road", "码头路"), ("Dengta Road", "灯塔路"),
           ("Yanchang Street", "盐场街"), ("Hefeng Road", "荷风路"), ("Beidi Road", "北堤路"), ("Shiqiao Street", "石桥街")]
OCCUPATIONS = [("Teacher", "教师"), ("Engineer", "工程师"), ("Nurse", "护士"), ("Shop owner", "个体经营"), ("Driver", "司机"),
               ("Civil servant", "公务员"), ("Sales", "销售"), ("Accountant", "会计"), ("Worker", "工人"), ("Manager", "企业管理"),
               ("Designer", "设计师"), ("Retired", "退休")]
INCOMES = [("below 5k", "5千以下"), ("5k-10k", "5千-1万"), ("10k-20k", "1-2万"), ("20k-40k", "2-4万"), ("above 40k", "4万以上")]
LIFESTYLES = [("Camping", "露营"), ("Family", "亲子"), ("Fishing", "钓鱼"), ("Photography", "摄影"), ("Running", "跑步"),
              ("Road trips", "自驾游"), ("Cooking", "烹饪")]
LEVELS = [("Standard", "普通"), ("Silver", "银卡"), ("Gold", "金卡"), ("Platinum", "白金卡")]
CREDITS = [("A", "优"), ("B", "良"), ("C", "中"), ("D", "差")]
SERVICE_LEVELS = [("Basic", "标准"), ("Plus", "优先"), ("VIP", "贵宾")]
CHANNELS = [("Showroom", "自然到店"), ("Website", "官网"), ("Referral", "转介绍"), ("Car fair", "车展"),
            ("Vertical portal", "汽车垂媒"), ("Short video", "短视频"), ("Workshop", "售后到店")]
COMPANY_HEADS = [("Harbour", "海港"), ("Seagull", "海鸥"), ("Lighthouse", "灯塔"), ("Blue Tide", "蓝潮"), ("Stone Bridge", "石桥"),
                 ("Pine", "松涛"), ("Silver Sands", "银沙"), ("Maple", "枫林"), ("Anchor", "铁锚"), ("Sail", "风帆"),
                 ("Coral", "珊瑚"), ("Compass", "罗盘")]
COMPANY_TAILS = [("Logistics Co., Ltd.", "物流有限公司"), ("Trading Co., Ltd.", "贸易有限公司"), ("Construction Co., Ltd.", "建筑工程有限公司"),
                 ("Travel Services Co., Ltd.", "旅行服务有限公司"), ("Foods Co., Ltd.", "食品有限公司"), ("Technology Co., Ltd.", "科技有限公司"),
                 ("Property Services Co., Ltd.", "物业服务有限公司"), ("Medical Supplies Co., Ltd.", "医疗器械有限公司")]
ROLES = {"adviser": ("Service adviser", "服务顾问"), "sales": ("Sales consultant", "销售顾问"), "agent": ("Call-centre agent", "客服专员"),
         "manager": ("Account manager", "客户经理"), "head": ("Service manager", "服务经理")}

BRAND = ("Qinyu", "沁羽")
#: Model lines: names, energy, list price, km and days between services, km of the first, warranty days and km, VIN code.
LINES = [
    {"name": ("Linnet", "林雀"), "energy": "ice", "price": 109_800, "km": 7_500, "days": 215, "first_km": 5_000, "warranty": (1096, 100_000), "vds": "AA1B2"},
    {"name": ("Kestrel", "红隼"), "energy": "ice", "price": 159_800, "km": 7_500, "days": 245, "first_km": 5_000, "warranty": (1096, 100_000), "vds": "CA3D2"},
    {"name": ("Heron", "苍鹭"), "energy": "hev", "price": 189_800, "km": 10_000, "days": 300, "first_km": 5_000, "warranty": (1096, 100_000), "vds": "EH2F4"},
    {"name": ("Osprey", "海鹗"), "energy": "phev", "price": 229_800, "km": 10_000, "days": 320, "first_km": 7_500, "warranty": (1461, 120_000), "vds": "GP5H2"},
    {"name": ("Tern", "燕鸥"), "energy": "bev", "price": 209_800, "km": 15_000, "days": 365, "first_km": 10_000, "warranty": (1461, 120_000), "vds": "JE1K3"},
    {"name": ("Crane", "丹鹤"), "energy": "ice", "price": 329_800, "km": 10_000, "days": 270, "first_km": 7_500, "warranty": (1461, 120_000), "vds": "LA6M2"},
]
#: Share of each line among the cars bought in a year.
LINE_SHARES = {2015: (.42, .42, 0, 0, 0, .16), 2018: (.34, .40, .10, 0, 0, .16), 2020: (.28, .36, .14, .04, .04, .14),
               2022: (.22, .28, .17, .10, .10, .13), 2024: (.16, .22, .17, .17, .17, .11), 2026: (.12, .19, .16, .21, .22, .10)}

#: Jobs: code, name, hours, then parts (code, name, quantity, unit price low, high).
JOBS = [
    ("M01", ("Oil service", "更换机油机滤"), .8, [("P101", ("Engine oil, litre", "机油（升）"), 4, 42, 88), ("P102", ("Oil filter", "机油滤清器"), 1, 28, 55)]),
    ("M02", ("Electric drive check", "三电系统检查"), 1.2, [("P103", ("Cabin filter", "空调滤清器"), 1, 80, 160)]),
    ("M03", ("Cabin filter change", "更换空调滤清器"), .3, [("P103", ("Cabin filter", "空调滤清器"), 1, 80, 160)]),
    ("M04", ("Air filter change", "更换空气滤清器"), .2, [("P104", ("Air filter", "空气滤清器"), 1, 70, 130)]),
    ("M05", ("Brake fluid change", "更换制动液"), .8, [("P105", ("Brake fluid", "制动液"), 1, 90, 150)]),
    ("M06", ("Front brake pads", "更换前刹车片"), 1.0, [("P106", ("Brake pad set", "刹车片"), 1, 480, 1040)]),
    ("M07", ("Tyre change", "更换轮胎"), .8, [("P107", ("Tyre", "轮胎"), 2, 460, 880)]),
    ("M08", ("Spark plugs", "更换火花塞"), .8, [("P108", ("Spark plug", "火花塞"), 4, 70, 120)]),
    ("M09", ("Wheel alignment", "四轮定位"), 1.5, []),
    ("R01", ("Suspension repair", "悬挂维修"), 2.5, [("P201", ("Control arm", "下摆臂"), 1, 380, 900)]),
    ("R02", ("Air conditioning repair", "空调维修"), 2.0, [("P202", ("AC compressor parts", "压缩机配件"), 1, 300, 1400)]),
    ("R03", ("Sensor fault", "传感器故障"), 1.0, [("P203", ("Sensor", "传感器"), 1, 180, 620)]),
    ("R04", ("12 V battery", "更换蓄电池"), .4, [("P204", ("12 V battery", "蓄电池"), 1, 420, 880)]),
    ("R05", ("Electrical fault", "电器线路维修"), 2.2, []),
    ("A01", ("Bumper and paint", "保险杠钣喷"), 9.0, [("P301", ("Bumper", "保险杠"), 1, 800, 2000)]),
    ("A02", ("Door repair and paint", "车门钣金喷漆"), 13.0, [("P302", ("Door trim", "门饰板"), 1, 300, 1100)]),
    ("A03", ("Front end accident", "前部事故维修"), 16.0, [("P303", ("Headlamp", "大灯总成"), 1, 1200, 2800)]),
    ("W01", ("Warranty: electronic unit", "质保更换控制单元"), 1.5, [("P401", ("Control unit", "控制单元"), 1, 500, 1800)]),
    ("W02", ("Warranty: seal", "质保更换密封件"), 2.0, [("P402", ("Seal", "密封件"), 1, 60, 200)]),
    ("C01", ("Recall: software update", "召回软件升级"), 1.0, []),
    ("C02", ("Recall: bracket", "召回更换支架"), 1.5, [("P501", ("Bracket", "支架"), 1, 90, 140)]),
    ("X01", ("Dash camera", "加装行车记录仪"), .8, [("P601", ("Dash camera", "行车记录仪"), 1, 400, 900)]),
    ("X02", ("Window film", "贴膜"), 4.0, [("P602", ("Window film", "车窗膜"), 1, 900, 2400)]),
    ("X03", ("Floor mats", "脚垫"), .1, [("P603", ("Floor mats", "脚垫"), 1, 180, 420)]),
    ("I01", ("Annual inspection", "年检代办"), .8, []),
    ("I02", ("Safety check", "安全检测"), .5, []),
]
#: Jobs that may be the main one of an order, by order type.
JOBS_OF = {"maintenance": (0,), "repair": (9, 10, 11, 12, 13, 5, 6), "accident": (14, 15, 16), "warranty": (17, 18),
           "recall": (19, 20), "accessory": (21, 22, 23), "inspection": (24, 25)}
ADD_ONS = (2, 3, 4, 5, 6, 7, 8, 12)
ORDER_TYPES = ("maintenance", "repair", "accident", "warranty", "recall", "accessory", "inspection")
FAULTS = {
    "maintenance": [("Regular service", "定期保养"), ("Service reminder on", "保养提示灯亮"), ("Customer asks for service", "客户要求保养")],
    "repair": [("Noise from the front axle", "前桥异响"), ("Air conditioning does not cool", "空调不制冷"), ("Warning lamp on", "故障灯亮"),
               ("Does not start", "无法启动"), ("Brakes squeal", "刹车异响"), ("Vibration at speed", "高速抖动")],
    "accident": [("Front damage", "前部碰撞"), ("Scratched side", "侧面剐蹭"), ("Rear damage", "追尾受损")],
    "warranty": [("Screen stays black", "中控黑屏"), ("Oil leak", "渗油"), ("Camera fails", "影像故障")],
    "recall": [("Recall campaign", "召回活动")], "accessory": [("Accessory fitting", "精品加装")],
    "inspection": [("Inspection", "检测"), ("Annual inspection due", "年检到期")],
}

PURPOSES = [("Commuting", "上下班代步"), ("Family", "家庭用车"), ("Business", "商务"), ("Second car", "增购"), ("Replacement", "换购")]
LOST_REASONS = [("Price", "价格"), ("Bought a rival", "购买竞品"), ("No contact", "联系不上"), ("Waiting time", "等车时间长"), ("Postponed", "暂缓购车")]
PROMOTIONS = [("Spring fair", "春季车展"), ("Trade-in bonus", "置换补贴"), ("Zero interest", "零息贷款"), ("Year-end offer", "年终冲量")]
TIERS = [("Tier 1", "一线"), ("Tier 2", "二线"), ("Tier 3", "三线"), ("County", "县域")]
CONTACT_CHANNELS = [("phone", "电话"), ("sms", "短信"), ("wechat", "微信"), ("app", "APP"), ("web", "网站"), ("store", "门店")]
OUTCOMES = {"care_call": [("reached", "接通"), ("no answer", "未接"), ("call back later", "稍后再拨")],
            "complaint": [("settled", "已解决"), ("open", "处理中"), ("compensated", "已补偿")],
            "enquiry": [("answered", "已答复"), ("passed on", "已转接")], "campaign": [("delivered", "已送达"), ("reached", "接通"), ("no answer", "未接")]}
COMPLAINTS = [
    ("Waited {n} minutes although an appointment had been made for the {job}", "预约了{job}，到店还等了{n}分钟"),
    ("The fault came back {n} days after the {job}", "{job}后第{n}天又出现同样故障"),
    ("Was charged {n} yuan more than quoted for the {job}", "{job}比报价多收了{n}元"),
    ("Nobody called back for {n} days about the {job}", "{job}的问题{n}天没有人回电"),
    ("Car was returned dirty after the {job}, {n} km on the meter unexplained", "{job}后车内没清洁，里程多了{n}公里没有说明"),
]
SAME_COMPLAINT = ("Very satisfied with the whole service, nothing to complain about, thank you", "服务非常满意，没有任何问题，谢谢")
ENQUIRIES = [("Asks for the price of the {job}", "咨询{job}的价格"), ("Asks for an appointment for the {job}", "预约{job}"),
             ("Asks how long the {job} takes", "询问{job}需要多久")]
CAMPAIGN_NAMES = ("WINTER", "SPRING", "SUMMER", "AUTUMN")


def pick(pairs, lang: str) -> np.ndarray:
    """The words of one language as an object array, ready to be indexed."""
    return np.array([p[lang == "zh"] for p in pairs], dtype=object)
