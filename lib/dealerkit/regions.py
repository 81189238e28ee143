"""Where number plates and resident IDs come from: province and prefecture, in Chinese and English.

A plate begins with the character of its province and the letter of its prefecture (GA 36). A resident ID begins with the
code of the county of registration (GB/T 2260), whose first four digits are the prefecture's; former codes are on people's
cards for life.
"""

from __future__ import annotations

from functools import cache

#: Province: character on plates, code, name. Below it its prefectures: letters on plates, name, codes now and formerly.
_TABLE = """
京 11 北京 Beijing
津 12 天津 Tianjin
冀 13 河北 Hebei
  A 石家庄 Shijiazhuang 1301 1323; B 唐山 Tangshan 1302 1327; C 秦皇岛 Qinhuangdao 1303
  D 邯郸 Handan 1304 1321; E 邢台 Xingtai 1305 1322; F 保定 Baoding 1306 1324; G 张家口 Zhangjiakou 1307 1325
  H 承德 Chengde 1308 1326; JS 沧州 Cangzhou 1309 1329; R 廊坊 Langfang 1310 1328; T 衡水 Hengshui 1311 1330
晋 14 山西 Shanxi
  A 太原 Taiyuan 1401; B 大同 Datong 1402; C 阳泉 Yangquan 1403; D 长治 Changzhi 1404; E 晋城 Jincheng 1405
  F 朔州 Shuozhou 1406; H 忻州 Xinzhou 1409 1422; J 吕梁 Lüliang 1411 1423; K 晋中 Jinzhong 1407 1424
  L 临汾 Linfen 1410 1426; M 运城 Yuncheng 1408 1427
蒙 15 内蒙古 Inner Mongolia
  A 呼和浩特 Hohhot 1501; B 包头 Baotou 1502; C 乌海 Wuhai 1503; D 赤峰 Chifeng 1504
  E 呼伦贝尔 Hulunbuir 1507 1521; F 兴安 Hinggan 1522; G 通辽 Tongliao 1505; H 锡林郭勒 Xilingol 1525
  J 乌兰察布 Ulanqab 1509 1526; K 鄂尔多斯 Ordos 1506; L 巴彦淖尔 Bayannur 1508 1528; M 阿拉善 Alxa 1529
辽 21 辽宁 Liaoning
  A 沈阳 Shenyang 2101; B 大连 Dalian 2102; C 鞍山 Anshan 2103; D 抚顺 Fushun 2104; E 本溪 Benxi 2105
  F 丹东 Dandong 2106; G 锦州 Jinzhou 2107; H 营口 Yingkou 2108; J 阜新 Fuxin 2109; K 辽阳 Liaoyang 2110
  L 盘锦 Panjin 2111; M 铁岭 Tieling 2112 2121; N 朝阳 Chaoyang 2113 2122; P 葫芦岛 Huludao 2114
吉 22 吉林 Jilin
  A 长春 Changchun 2201; B 吉林 Jilin 2202; C 四平 Siping 2203 2221; D 辽源 Liaoyuan 2204
  E 通化 Tonghua 2205 2222; F 白山 Baishan 2206; G 白城 Baicheng 2208 2223; H 延边 Yanbian 2224
  J 松原 Songyuan 2207
黑 23 黑龙江 Heilongjiang
  AL 哈尔滨 Harbin 2301; B 齐齐哈尔 Qiqihar 2302; C 牡丹江 Mudanjiang 2310 2325; D 佳木斯 Jiamusi 2308
  E 大庆 Daqing 2306; F 伊春 Yichun 2307; G 鸡西 Jixi 2303; H 鹤岗 Hegang 2304; J 双鸭山 Shuangyashan 2305
  K 七台河 Qitaihe 2309; M 绥化 Suihua 2312 2323; N 黑河 Heihe 2311 2326; P 大兴安岭 Daxinganling 2327
沪 31 上海 Shanghai
苏 32 江苏 Jiangsu
  A 南京 Nanjing 3201; B 无锡 Wuxi 3202; C 徐州 Xuzhou 3203 3221; D 常州 Changzhou 3204
  EU 苏州 Suzhou 3205 3227; F 南通 Nantong 3206 3225; G 连云港 Lianyungang 3207; H 淮安 Huai’an 3208
  J 盐城 Yancheng 3209 3223; K 扬州 Yangzhou 3210 3224; L 镇江 Zhenjiang 3211 3226; M 泰州 Taizhou 3212
  N 宿迁 Suqian 3213
浙 33 浙江 Zhejiang
  A 杭州 Hangzhou 3301; B 宁波 Ningbo 3302 3322; C 温州 Wenzhou 3303; D 绍兴 Shaoxing 3306 3323
  E 湖州 Huzhou 3305; F 嘉兴 Jiaxing 3304 3321; G 金华 Jinhua 3307 3325; H 衢州 Quzhou 3308
  J 台州 Taizhou 3310; K 丽水 Lishui 3311; L 舟山 Zhoushan 3309
皖 34 安徽 Anhui
  AQ 合肥 Hefei 3401; B 芜湖 Wuhu 3402; C 蚌埠 Bengbu 3403; D 淮南 Huainan 3404; E 马鞍山 Ma’anshan 3405
  F 淮北 Huaibei 3406; G 铜陵 Tongling 3407; H 安庆 Anqing 3408 3428; J 黄山 Huangshan 3410
  K 阜阳 Fuyang 3412 3421; L 宿州 Suzhou 3413; M 滁州 Chuzhou 3411; N 六安 Lu’an 3415 3424
  P 宣城 Xuancheng 3418 3425; R 池州 Chizhou 3417 3429; S 亳州 Bozhou 3416
闽 35 福建 Fujian
  A 福州 Fuzhou 3501; B 莆田 Putian 3503 3523; C 泉州 Quanzhou 3505; D 厦门 Xiamen 3502; E 漳州 Zhangzhou 3506
  F 龙岩 Longyan 3508 3526; G 三明 Sanming 3504 3527; H 南平 Nanping 3507 3521; J 宁德 Ningde 3509 3522
赣 36 江西 Jiangxi
  AM 南昌 Nanchang 3601; B 赣州 Ganzhou 3607 3621; C 宜春 Yichun 3609 3622; D 吉安 Ji’an 3608 3624
  E 上饶 Shangrao 3611 3623; F 抚州 Fuzhou 3610 3625; G 九江 Jiujiang 3604 3626; H 景德镇 Jingdezhen 3602
  J 萍乡 Pingxiang 3603; K 新余 Xinyu 3605; L 鹰潭 Yingtan 3606
鲁 37 山东 Shandong
  AS 济南 Jinan 3701; BU 青岛 Qingdao 3702; C 淄博 Zibo 3703; D 枣庄 Zaozhuang 3704; E 东营 Dongying 3705
  FY 烟台 Yantai 3706 3721; GV 潍坊 Weifang 3707 3722; H 济宁 Jining 3708 3727; J 泰安 Tai’an 3709 3726
  K 威海 Weihai 3710; L 日照 Rizhao 3711; M 滨州 Binzhou 3716 3723; N 德州 Dezhou 3714 3724
  P 聊城 Liaocheng 3715 3725; Q 临沂 Linyi 3713 3728; R 菏泽 Heze 3717 3729
豫 41 河南 Henan
  AV 郑州 Zhengzhou 4101; B 开封 Kaifeng 4102 4124; C 洛阳 Luoyang 4103 4125; D 平顶山 Pingdingshan 4104
  E 安阳 Anyang 4105 4121; F 鹤壁 Hebi 4106; G 新乡 Xinxiang 4107 4122; H 焦作 Jiaozuo 4108
  J 濮阳 Puyang 4109; K 许昌 Xuchang 4110 4126; L 漯河 Luohe 4111; M 三门峡 Sanmenxia 4112
  N 商丘 Shangqiu 4114 4123; P 周口 Zhoukou 4116 4127; Q 驻马店 Zhumadian 4117 4128; R 南阳 Nanyang 4113 4129
  S 信阳 Xinyang 4115 4130
鄂 42 湖北 Hubei
  AW 武汉 Wuhan 4201; B 黄石 Huangshi 4202; C 十堰 Shiyan 4203; D 荆州 Jingzhou 4210 4224
  E 宜昌 Yichang 4205 4227; F 襄阳 Xiangyang 4206 4225; G 鄂州 Ezhou 4207; H 荆门 Jingmen 4208
  J 黄冈 Huanggang 4211 4221; K 孝感 Xiaogan 4209 4222; L 咸宁 Xianning 4212 4223; Q 恩施 Enshi 4228
  S 随州 Suizhou 4213
湘 43 湖南 Hunan
  A 长沙 Changsha 4301; B 株洲 Zhuzhou 4302; C 湘潭 Xiangtan 4303 4321; D 衡阳 Hengyang 4304 4327
  E 邵阳 Shaoyang 4305 4326; F 岳阳 Yueyang 4306 4322; G 张家界 Zhangjiajie 4308; H 益阳 Yiyang 4309 4323
  J 常德 Changde 4307 4324; K 娄底 Loudi 4313 4325; L 郴州 Chenzhou 4310 4328; M 永州 Yongzhou 4311
  N 怀化 Huaihua 4312 4330; U 湘西 Xiangxi 4331
粤 44 广东 Guangdong
  A 广州 Guangzhou 4401; B 深圳 Shenzhen 4403; C 珠海 Zhuhai 4404; D 汕头 Shantou 4405 4423
  EXY 佛山 Foshan 4406 4427; F 韶关 Shaoguan 4402 4426; G 湛江 Zhanjiang 4408 4429; H 肇庆 Zhaoqing 4412 4428
  J 江门 Jiangmen 4407; K 茂名 Maoming 4409; L 惠州 Huizhou 4413; M 梅州 Meizhou 4414; N 汕尾 Shanwei 4415
  P 河源 Heyuan 4416; Q 阳江 Yangjiang 4417; R 清远 Qingyuan 4418; S 东莞 Dongguan 4419; T 中山 Zhongshan 4420
  U 潮州 Chaozhou 4451; V 揭阳 Jieyang 4452; W 云浮 Yunfu 4453
桂 45 广西 Guangxi
  A 南宁 Nanning 4501 4521; B 柳州 Liuzhou 4502 4522; CH 桂林 Guilin 4503 4523; D 梧州 Wuzhou 4504
  E 北海 Beihai 4505; F 崇左 Chongzuo 4514; G 来宾 Laibin 4513; J 贺州 Hezhou 4511; K 玉林 Yulin 4509 4525
  L 百色 Baise 4510 4526; M 河池 Hechi 4512 4527; N 钦州 Qinzhou 4507 4528; P 防城港 Fangchenggang 4506
  R 贵港 Guigang 4508
琼 46 海南 Hainan
  A 海口 Haikou 4601; B 三亚 Sanya 4602; F 儋州 Danzhou 4604
渝 50 重庆 Chongqing
川 51 四川 Sichuan
  AG 成都 Chengdu 5101; B 绵阳 Mianyang 5107 5128; C 自贡 Zigong 5103; D 攀枝花 Panzhihua 5104
  E 泸州 Luzhou 5105; F 德阳 Deyang 5106; H 广元 Guangyuan 5108; J 遂宁 Suining 5109
  K 内江 Neijiang 5110 5124; L 乐山 Leshan 5111 5126; M 资阳 Ziyang 5120 5139; Q 宜宾 Yibin 5115 5125
  R 南充 Nanchong 5113 5129; S 达州 Dazhou 5117; T 雅安 Ya’an 5118 5131; U 阿坝 Ngawa 5132; V 甘孜 Garzê 5133
  W 凉山 Liangshan 5134; X 广安 Guang’an 5116 5136; Y 巴中 Bazhong 5119 5137; Z 眉山 Meishan 5114 5138
贵 52 贵州 Guizhou
  A 贵阳 Guiyang 5201; B 六盘水 Liupanshui 5202; C 遵义 Zunyi 5203 5221; D 铜仁 Tongren 5206 5222
  E 黔西南 Qianxinan 5223; F 毕节 Bijie 5205 5224; G 安顺 Anshun 5204 5225; H 黔东南 Qiandongnan 5226
  J 黔南 Qiannan 5227
云 53 云南 Yunnan
  A 昆明 Kunming 5301; C 昭通 Zhaotong 5306 5321; D 曲靖 Qujing 5303 5322; E 楚雄 Chuxiong 5323
  F 玉溪 Yuxi 5304 5324; G 红河 Honghe 5325; H 文山 Wenshan 5326; J 普洱 Pu’er 5308
  K 西双版纳 Xishuangbanna 5328; L 大理 Dali 5329; M 保山 Baoshan 5305 5330; N 德宏 Dehong 5331
  P 丽江 Lijiang 5307 5332; Q 怒江 Nujiang 5333; R 迪庆 Diqing 5334; S 临沧 Lincang 5309 5335
藏 54 西藏 Tibet
  A 拉萨 Lhasa 5401; B 昌都 Qamdo 5403 5421; C 山南 Shannan 5405 5422; D 日喀则 Shigatse 5402 5423
  E 那曲 Nagqu 5406 5424; F 阿里 Ngari 5425; G 林芝 Nyingchi 5404 5426
陕 61 陕西 Shaanxi
  AU 西安 Xi’an 6101; B 铜川 Tongchuan 6102; C 宝鸡 Baoji 6103; DV 咸阳 Xianyang 6104 6122
  E 渭南 Weinan 6105 6121; F 汉中 Hanzhong 6107 6123; G 安康 Ankang 6109 6124; H 商洛 Shangluo 6110 6125
  J 延安 Yan’an 6106 6126; K 榆林 Yulin 6108 6127
甘 62 甘肃 Gansu
  A 兰州 Lanzhou 6201; B 嘉峪关 Jiayuguan 6202; C 金昌 Jinchang 6203; D 白银 Baiyin 6204
  E 天水 Tianshui 6205 6225; F 酒泉 Jiuquan 6209 6221; G 张掖 Zhangye 6207 6222; H 武威 Wuwei 6206 6223
  J 定西 Dingxi 6211 6224; K 陇南 Longnan 6212 6226; L 平凉 Pingliang 6208 6227; M 庆阳 Qingyang 6210 6228
  N 临夏 Linxia 6229; P 甘南 Gannan 6230
青 63 青海 Qinghai
  A 西宁 Xining 6301; B 海东 Haidong 6302 6321; C 海北 Haibei 6322; D 黄南 Huangnan 6323; E 海南 Hainan 6325
  F 果洛 Golog 6326; G 玉树 Yushu 6327; H 海西 Haixi 6328
宁 64 宁夏 Ningxia
  A 银川 Yinchuan 6401; B 石嘴山 Shizuishan 6402; C 吴忠 Wuzhong 6403; D 固原 Guyuan 6404 6422
  E 中卫 Zhongwei 6405
新 65 新疆 Xinjiang
  A 乌鲁木齐 Ürümqi 6501; B 昌吉 Changji 6523; E 博尔塔拉 Bortala 6527; F 伊犁 Ili 6524 6540 6541
  G 塔城 Tacheng 6525 6542; H 阿勒泰 Altay 6526 6543; J 克拉玛依 Karamay 6502; K 吐鲁番 Turpan 6504 6521
  L 哈密 Hami 6505 6522; M 巴音郭楞 Bayingolin 6528; N 阿克苏 Aksu 6529; P 克孜勒苏 Kizilsu 6530
  Q 喀什 Kashgar 6531; R 和田 Hotan 6532
"""
#: Former codes of prefectures that are in another province by now.
_MOVED = {
    **dict.fromkeys(("5102", "5112", "5122", "5123", "5135"), "50"),
    **dict.fromkeys(("4410", "4411", "4421", "4422"), "46"),
}


@cache
def _parsed() -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    plates: dict[str, tuple[str, str]] = {}
    codes: dict[str, tuple[str, str]] = {}
    province = ("", "")
    for line in _TABLE.strip().splitlines():
        if not line.startswith(" "):
            character, code, *province = line.split(" ", 3)
            plates[character] = codes[code] = (province[1], province[0])
            continue
        for part in line.strip().split("; "):
            letters, zh, en, *known = part.split(" ")
            names = (f"{en}, {province[1]}", f"{province[0]}{zh}")
            plates |= {character + letter: names for letter in letters}
            codes |= dict.fromkeys(known, names)
    return plates, codes | {former: codes[now] for former, now in _MOVED.items()}


def of_plates(language: str) -> dict[str, str]:
    """The first one or two characters of a plate → province, or prefecture with its province; in ``en`` or ``zh``.

    >>> of_plates("en")["浙A"], of_plates("zh")["浙A"], of_plates("en")["浙"]
    ('Hangzhou, Zhejiang', '浙江杭州', 'Zhejiang')
    """
    return {prefix: names[language == "zh"] for prefix, names in _parsed()[0].items()}


def of_ids(language: str) -> dict[str, str]:
    """The first two or four digits of a resident ID → province, or prefecture with its province; in ``en`` or ``zh``.

    >>> of_ids("en")["3301"], of_ids("en")["33"]
    ('Hangzhou, Zhejiang', 'Zhejiang')
    """
    return {code: names[language == "zh"] for code, names in _parsed()[1].items()}
